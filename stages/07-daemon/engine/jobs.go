package engine

import (
	"slices"
	"sync"
	"time"
)

const jobsKept = 256 // finished jobs that can still be looked at

// Job is one operation: what, on what, since when, for how long, and why it failed.
type Job struct {
	Number    int64         `json:"id"`
	Name      string        `json:"name"`
	Container string        `json:"container,omitempty"`
	Started   time.Time     `json:"started"`
	Duration  time.Duration `json:"duration_ns"`
	Status    string        `json:"status"` // running, done, failed
	Cause     string        `json:"cause,omitempty"`
}

// Jobs remembers operations in flight and recent ones.
type Jobs struct {
	mu   sync.Mutex // guards both
	last int64
	all  []*Job
}

// Begin notes a job; the function it returns notes its end. To be called with the named error result in a defer.
func (j *Jobs) Begin(name, container string) func(*error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.last++
	job := &Job{Number: j.last, Name: name, Container: container, Started: time.Now(), Status: "running"}
	j.all = append(j.all, job)
	j.trimLocked()
	return func(err *error) { j.end(job, *err) }
}

func (j *Jobs) end(job *Job, err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	job.Duration = time.Since(job.Started)
	job.Status = "done"
	if err != nil {
		job.Status, job.Cause = "failed", err.Error()
	}
}

// trimLocked forgets the oldest finished job; running ones stay, however old.
func (j *Jobs) trimLocked() {
	if len(j.all) <= jobsKept {
		return
	}
	if i := slices.IndexFunc(j.all, func(job *Job) bool { return job.Status != "running" }); i >= 0 {
		j.all = slices.Delete(j.all, i, i+1)
	}
}

// List returns copies, oldest first; a running job's duration is the time until now.
func (j *Jobs) List() []Job {
	j.mu.Lock()
	defer j.mu.Unlock()
	out := make([]Job, 0, len(j.all))
	for _, job := range j.all {
		c := *job
		if c.Status == "running" {
			c.Duration = time.Since(c.Started)
		}
		out = append(out, c)
	}
	return out
}
