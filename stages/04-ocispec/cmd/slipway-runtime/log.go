package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"time"
)

// logger writes lines that containerd and dockerd can read: JSON or text, as they ask.
type logger struct {
	file   io.Writer // nil: the log is standard error
	json   bool
	debug  bool
	stderr io.Writer
}

func openLog(name, format string, debug bool) (*logger, error) {
	l := &logger{json: format == "json", debug: debug, stderr: os.Stderr}
	if format != "text" && format != "json" && format != "" {
		return nil, fmt.Errorf("invalid log-format: %s", format)
	}
	if name == "" {
		return l, nil
	}
	f, err := os.OpenFile(name, os.O_CREATE|os.O_WRONLY|os.O_APPEND|os.O_SYNC, 0o644)
	if err != nil {
		return nil, err
	}
	l.file = f
	return l, nil
}

func (l *logger) warn(text string) { l.line("warning", text) }

// debugf is for --debug: what is done, while it is done.
func (l *logger) debugf(format string, args ...any) {
	if l.debug {
		l.line("debug", fmt.Sprintf(format, args...))
	}
}

// error also goes to standard error when that is not the log: a person may be looking.
func (l *logger) error(err error) {
	l.line("error", err.Error())
	if l.file != nil {
		fmt.Fprintln(l.stderr, err)
	}
}

// bare is an error that the program's caller shall see as if the program had said it: without time and level.
func (l *logger) bare(err error) {
	if l.file != nil {
		l.error(err)
		return
	}
	fmt.Fprintln(l.stderr, err)
}

func (l *logger) line(level, text string) {
	to := l.file
	if to == nil {
		to = l.stderr
	}
	now := time.Now().Format(time.RFC3339)
	if !l.json {
		fmt.Fprintf(to, "time=%q level=%s msg=%q\n", now, level, text)
		return
	}
	entry := struct {
		Level string `json:"level"`
		Msg   string `json:"msg"`
		Time  string `json:"time"`
	}{level, text, now}
	if b, err := json.Marshal(entry); err == nil {
		_, _ = to.Write(append(b, '\n')) // there is nobody left to tell
	}
}
