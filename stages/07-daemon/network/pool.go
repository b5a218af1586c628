package network

import "sync"

// warmed is a namespace with its cable plugged in, made for nobody yet. It has no mount and no process: only the
// descriptors in hands keep it, so when we die it goes by itself and there is nothing to sweep.
type warmed struct {
	hands *hands
	link  string
}

// pool keeps some of them ready. Making one costs a few milliseconds that a container's start need not wait for.
type pool struct {
	make  func() (*warmed, error)
	ready chan *warmed
	want  chan struct{} // one token per empty place
	done  chan struct{}
	wg    sync.WaitGroup
}

func newPool(size int, make1 func() (*warmed, error)) *pool {
	p := &pool{make: make1, ready: make(chan *warmed, size), want: make(chan struct{}, size), done: make(chan struct{})}
	for range size {
		p.want <- struct{}{}
	}
	if size > 0 {
		p.wg.Go(p.refill)
	}
	return p
}

func (p *pool) refill() {
	for {
		select {
		case <-p.done:
			return
		case <-p.want:
		}
		if w, err := p.make(); err == nil { // a place that cannot be filled stays empty: take makes one and reports
			p.ready <- w
		}
	}
}

// take gives a ready one, or makes one.
func (p *pool) take() (*warmed, error) {
	select {
	case w, open := <-p.ready:
		if open {
			p.want <- struct{}{}
			return w, nil
		}
	default:
	}
	return p.make()
}

func (p *pool) close() {
	select {
	case <-p.done:
		return
	default:
	}
	close(p.done)
	p.wg.Wait()
	close(p.ready)
	for w := range p.ready {
		w.hands.close()
	}
}

// warm makes one.
func (d *Driver) warm() (*warmed, error) {
	link := "veth" + newID()[:7]
	h, err := newHands()
	if err != nil {
		return nil, err
	}
	if err := h.carryOut(PlanWarm(d.cfg, link, d.poolAlias)); err != nil {
		h.close()
		return nil, err
	}
	return &warmed{hands: h, link: link}, nil
}
