package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"text/template"
)

// row is one line of a listing: what `--format` may name. Labels are looked up by {{.Label "key"}}.
type row map[string]any

// labels is the field that holds all labels of a row for Label; it is not printed.
const labelsField = "\x00labels"

// Label returns one label's value.
func (r row) Label(name string) string {
	switch labels := r[labelsField].(type) {
	case map[string]string:
		return labels[name]
	case string: // the row of headings
		return strings.NewReplacer("-", " ", "_", " ").Replace(name[strings.LastIndex(name, ".")+1:])
	}
	return ""
}

// MarshalJSON leaves out what only templates may see.
func (r row) MarshalJSON() ([]byte, error) {
	visible := maps.Clone(map[string]any(r))
	delete(visible, labelsField)
	return json.Marshal(visible)
}

// listing is a table in the making.
type listing struct {
	table    string            // the default, as a template without the word table
	quiet    string            // the field that -q prints
	headings map[string]string // field to column title
	rows     []row
}

// write prints the listing in a format: "" or "table" (the default table), "table TEMPLATE", "json", or a template.
func (l listing) write(out io.Writer, format string, quiet bool) error {
	format = strings.TrimSpace(format)
	switch {
	case quiet && (format == "" || format == "table"):
		format = "{{." + l.quiet + "}}"
	case format == "" || format == "table":
		format = "table " + l.table
	case format == "json":
		format = "{{json .}}"
	}
	columns, isTable := strings.CutPrefix(format, "table ")
	tmpl, err := parseTemplate(strings.TrimSpace(columns))
	if err != nil {
		return err
	}
	var body bytes.Buffer
	for _, r := range l.rows {
		if err := tmpl.Execute(&body, r); err != nil {
			return fmt.Errorf("failed to execute template: %w", err)
		}
		body.WriteByte('\n')
	}
	if !isTable {
		_, err := out.Write(body.Bytes())
		return err
	}
	w := tabwriter.NewWriter(out, 10, 1, 3, ' ', 0)
	heading := row{labelsField: ""}
	for field, title := range l.headings {
		heading[field] = title
	}
	err = tmpl.Execute(w, heading)
	_, err2 := fmt.Fprintf(w, "\n%s", body.Bytes())
	return errors.Join(err, err2, w.Flush())
}

// parseTemplate reads a Go template with Docker's helper functions; `\t` and `\n` may be written as such.
func parseTemplate(text string) (*template.Template, error) {
	text = strings.NewReplacer(`\t`, "\t", `\n`, "\n").Replace(text)
	tmpl, err := template.New("").Funcs(templateFunctions()).Option("missingkey=error").Parse(text)
	if err != nil {
		return nil, fmt.Errorf("failed to parse template: %w", err)
	}
	return tmpl, nil
}

func templateFunctions() template.FuncMap {
	return template.FuncMap{
		"json": func(v any) (string, error) {
			var buf bytes.Buffer
			encoder := json.NewEncoder(&buf)
			encoder.SetEscapeHTML(false)
			err := encoder.Encode(v)
			return strings.TrimSpace(buf.String()), err
		},
		"split": strings.Split, "join": strings.Join, "lower": strings.ToLower, "upper": strings.ToUpper,
		"title": func(s string) string {
			if s == "" {
				return s
			}
			return strings.ToUpper(s[:1]) + s[1:]
		},
		"pad": func(s string, before, after int) string {
			if s == "" {
				return s
			}
			return strings.Repeat(" ", before) + s + strings.Repeat(" ", after)
		},
		"truncate": func(s string, n int) string { return s[:min(n, len(s))] },
	}
}

// sortedPairs is a map as key=value words.
func sortedPairs(m map[string]string) []string {
	words := make([]string, 0, len(m))
	for _, key := range slices.Sorted(maps.Keys(m)) {
		words = append(words, key+"="+m[key])
	}
	return words
}
