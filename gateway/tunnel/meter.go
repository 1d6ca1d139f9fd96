package tunnel

import "time"

// meterBurst is how many seconds' worth of bytes a client may send at once.
const meterBurst = time.Second

// meter bounds what a tunnel reads from its client.
type meter struct {
	rate   int64         // bytes per second
	paid   time.Duration // when what was read may have come at that rate
	pause  time.Duration // until when nothing is read; 0: there is no pause
	slowed func()
}

func newMeter(rate int64, slowed func()) *meter {
	if rate <= 0 {
		return nil
	}
	return &meter{rate: rate, slowed: slowed}
}

// most bounds one read, so that no pause is longer than meterBurst.
func (m *meter) most(b []byte) []byte {
	if m == nil {
		return b
	}
	return b[:min(int64(len(b)), m.rate)]
}

// took notes that so much has been read.
func (m *meter) took(n int, now time.Duration) {
	if m != nil {
		m.paid = max(m.paid, now) + time.Duration(float64(n)/float64(m.rate)*float64(time.Second))
	}
}

// pauses reports whether nothing is to be read from the client now, and sets the timer for when that is over.
func (t *tunnel) pauses() bool {
	m := t.meter
	if m == nil || m.pause == 0 && m.paid <= t.loop.Now()+meterBurst {
		return false
	}
	if m.pause == 0 {
		m.pause = m.paid - meterBurst
		if m.slowed != nil {
			m.slowed()
		}
		t.arm()
	}
	return true
}

// goOn ends a pause.
func (t *tunnel) goOn() {
	t.meter.pause = 0
	t.heard = max(t.heard, t.loop.Now()) // the pause was not the client's silence
	t.proceed()
}
