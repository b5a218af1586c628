package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// bundles are directories with a config.json; all have one root file system.
type bundles struct{ docker, plain, sleep string }

func makeBundles(dir, group string) (*bundles, error) {
	b := &bundles{docker: dir + "/docker", plain: dir + "/plain", sleep: dir + "/sleep"}
	if err := makeRoot(dir + "/rootfs"); err != nil {
		return nil, err
	}
	recorded, err := os.ReadFile("plan/testdata/docker.json")
	if err != nil {
		return nil, err
	}
	docker := map[string]any{}
	if err := json.Unmarshal(recorded, &docker); err != nil {
		return nil, err
	}
	delete(docker, "hooks") // they name a daemon's process
	if err := ownFiles(docker, b.docker); err != nil {
		return nil, err
	}
	if err := write(b.docker, docker, dir+"/rootfs", group+"/docker", "true"); err != nil {
		return nil, err
	}
	for to, program := range map[string]string{b.plain: "true", b.sleep: "sleep"} {
		plain, err := specified(to)
		if err != nil {
			return nil, err
		}
		if err := write(to, plain, dir+"/rootfs", group+"/"+program, program); err != nil {
			return nil, err
		}
	}
	return b, nil
}

// makeRoot is busybox and the directories that configurations mount on.
func makeRoot(root string) error {
	for _, d := range []string{"bin", "dev", "proc", "sys", "etc", "tmp"} {
		if err := os.MkdirAll(filepath.Join(root, d), 0o755); err != nil {
			return err
		}
	}
	path, err := exec.LookPath("busybox")
	if err != nil {
		return fmt.Errorf("needs busybox, linked statically: %w", err)
	}
	in, err := os.Open(path)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(root+"/bin/busybox", os.O_CREATE|os.O_WRONLY, 0o755)
	if err != nil {
		return err
	}
	if _, err := io.Copy(out, in); err != nil {
		return err
	}
	if err := out.Close(); err != nil {
		return err
	}
	for _, name := range []string{"true", "sleep"} {
		if err := os.Symlink("busybox", root+"/bin/"+name); err != nil {
			return err
		}
	}
	return nil
}

// specified is the default configuration, as `runc spec` writes it.
func specified(dir string) (map[string]any, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	if err := command([]string{"runc", "spec", "-b", dir}); err != nil {
		return nil, err
	}
	text, err := os.ReadFile(dir + "/config.json")
	if err != nil {
		return nil, err
	}
	config := map[string]any{}
	return config, json.Unmarshal(text, &config)
}

// ownFiles points binds of files at files in the bundle.
func ownFiles(config map[string]any, dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for _, m := range config["mounts"].([]any) {
		if m := m.(map[string]any); m["type"] == "bind" {
			file := filepath.Join(dir, filepath.Base(m["source"].(string)))
			if err := os.WriteFile(file, nil, 0o644); err != nil {
				return err
			}
			m["source"] = file
		}
	}
	return nil
}

func write(dir string, config map[string]any, root, group, program string) error {
	process := config["process"].(map[string]any)
	process["args"], process["terminal"] = []string{"/bin/" + program, "100000"}, false
	config["root"] = map[string]any{"path": root}
	config["linux"].(map[string]any)["cgroupsPath"] = group
	text, err := json.MarshalIndent(config, "", "\t")
	if err != nil {
		return err
	}
	return os.WriteFile(dir+"/config.json", text, 0o644)
}

// peaks prints the peak resident memory of run, as busybox's time reads it: a small parent, whose own peak does not show.
func (b *bundles) peaks(peers []peer) error {
	fmt.Println("peak RSS of run, KiB")
	for _, p := range peers {
		for _, bundle := range []string{b.docker, b.plain} {
			c := exec.Command("busybox", append([]string{"time", "-f", "%M"}, p.args("run", "-b", bundle, "peak")...)...)
			out, err := c.CombinedOutput()
			if err != nil {
				return fmt.Errorf("%s: %w: %s", p.name, err, out)
			}
			lines := strings.Split(strings.TrimSpace(string(out)), "\n") // warnings come first
			kib, err := strconv.Atoi(lines[len(lines)-1])
			if err != nil {
				return err
			}
			// busybox takes getrusage's kilobytes for pages
			fmt.Printf("  %-18s %8d %s\n", p.name, kib/(os.Getpagesize()>>10), filepath.Base(bundle))
		}
	}
	return nil
}

// many starts containers that stay, one after another, and compares the last tenth with the first.
func (b *bundles) many(m *meter, peers []peer, n int) error {
	fmt.Printf("%d containers that stay, CPU ms each: first tenth, last tenth\n", n)
	for _, p := range peers {
		var costs []time.Duration
		for i := range n {
			if err := b.regroup(m.name, i); err != nil {
				return err
			}
			s, err := m.measure([][]string{p.args("run", "-d", "-b", b.sleep, fmt.Sprintf("m%d", i))})
			if err != nil {
				return err
			}
			costs = append(costs, s.cpu)
		}
		for i := range n {
			if err := command(p.args("delete", "-f", fmt.Sprintf("m%d", i))); err != nil {
				return err
			}
		}
		early, late := mean(costs[:n/10]), mean(costs[n-n/10:])
		fmt.Printf("  %-18s %8.2f %8.2f %8.2f\n", p.name, ms(early), ms(late), ratio(late, early))
	}
	return nil
}

// regroup gives the next container a cgroup of its own.
func (b *bundles) regroup(group string, n int) error {
	text, err := os.ReadFile(b.sleep + "/config.json")
	if err != nil {
		return err
	}
	config := map[string]any{}
	if err := json.Unmarshal(text, &config); err != nil {
		return err
	}
	config["linux"].(map[string]any)["cgroupsPath"] = fmt.Sprintf("%s/m%d", group, n)
	if text, err = json.MarshalIndent(config, "", "\t"); err != nil {
		return err
	}
	return os.WriteFile(b.sleep+"/config.json", text, 0o644)
}

func mean(list []time.Duration) time.Duration {
	sum := time.Duration(0)
	for _, d := range list {
		sum += d
	}
	return sum / time.Duration(max(len(list), 1))
}
