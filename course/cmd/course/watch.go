package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/slipway-engine/slipway/course/exercise"
	"github.com/slipway-engine/slipway/course/learner"
	"github.com/slipway-engine/slipway/course/progress"
	"github.com/slipway-engine/slipway/course/screen"
	"github.com/slipway-engine/slipway/course/verdict"
)

func newWatch() *cobra.Command {
	return &cobra.Command{
		Use: "watch [SLUG]", Short: "Test the next exercise again whenever you save a file; when it is done, go on", Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runWatch(cmd.Context(), screen.New(cmd.OutOrStdout()), args)
		},
	}
}

func runWatch(ctx context.Context, out screen.Screen, args []string) error {
	for {
		root, e, err := asked(args)
		if err != nil {
			return err
		}
		dir, there := learner.Dir(root, e.Stage)
		if !there {
			return fmt.Errorf("you have no copy of %s: make stage-%s start", e.Stage, e.Stage[1:2])
		}
		changes, err := watched(dir)
		if err != nil {
			return err
		}
		v, err := tryOnce(ctx, out, root, e)
		if err == nil && v.State == verdict.Done && len(args) == 0 {
			if n, all := nextAfter(root, e); all || n.Stage != e.Stage {
				return errors.Join(unix.Close(changes), printNext(out, root, ""))
			}
			if err := unix.Close(changes); err != nil {
				return err
			}
			continue
		}
		if err == nil {
			err = wait(ctx, changes, func() error {
				if _, there := learner.Dir(root, e.Stage); !there {
					return fmt.Errorf("your copy of %s is gone", e.Stage)
				}
				return nil
			})
		}
		if err = errors.Join(err, unix.Close(changes)); err != nil {
			if ctx.Err() != nil {
				return nil // Control-C is how a watch ends
			}
			return err
		}
	}
}

// nextAfter is what follows an exercise that was just done.
func nextAfter(root string, e exercise.Exercise) (n exercise.Exercise, none bool) {
	all, err := exercise.Course(root)
	if err != nil {
		return e, true
	}
	notes, err := progress.Load(root)
	if err != nil {
		return e, true
	}
	n, ok := next(root, all, notes, "")
	return n, !ok || n.Slug == e.Slug
}

func tryOnce(ctx context.Context, out screen.Screen, root string, e exercise.Exercise) (v verdict.Verdict, err error) {
	trial, err := learner.NewTrial(ctx, root, e.Stage, "")
	if err != nil {
		return v, err
	}
	defer func() { err = errors.Join(err, trial.Close()) }()
	if v, err = trial.Try(ctx, e); err != nil {
		return v, err
	}
	if v.State != verdict.Untried {
		if err := note(root, e, v); err != nil {
			return v, err
		}
	}
	fmt.Fprintf(out, "\n%s  %s %s  %s\n", time.Now().Format("15:04:05"), out.Sign(v.State), words(v), e.Slug)
	if v.State != verdict.Done {
		explainVerdict(out, root, e, v)
		fmt.Fprintln(out, "\nwaiting for you to save a file; Control-C ends")
	}
	return v, nil
}

// watched is an inotify descriptor (inotify(7)) for all folders below dir.
func watched(dir string) (int, error) {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return -1, fmt.Errorf("inotify: %w", err)
	}
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return err
		}
		// Editors write in place or rename a new file over the old one.
		if _, err := unix.InotifyAddWatch(fd, path, unix.IN_CLOSE_WRITE|unix.IN_MOVED_TO); err != nil {
			return fmt.Errorf("watch %s: %w", path, err)
		}
		return nil
	})
	if err != nil {
		return -1, errors.Join(err, unix.Close(fd))
	}
	return fd, nil
}

// wait returns when a Go file has changed and nothing more has for a moment, or
// when there has ceased to be a point in waiting.
func wait(ctx context.Context, fd int, point func() error) error {
	changed := false
	buf := make([]byte, 16<<10)
	for ctx.Err() == nil {
		ready, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 150)
		if err != nil && !errors.Is(err, unix.EINTR) {
			return fmt.Errorf("poll inotify: %w", err)
		}
		if ready <= 0 {
			if err := point(); changed || err != nil {
				return err
			}
			continue
		}
		n, err := unix.Read(fd, buf)
		if err != nil && !errors.Is(err, unix.EAGAIN) {
			return fmt.Errorf("read inotify: %w", err)
		}
		changed = changed || (n > 0 && strings.Contains(string(buf[:n]), ".go\x00"))
	}
	return ctx.Err()
}
