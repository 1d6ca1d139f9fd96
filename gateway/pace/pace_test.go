package pace_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/sidway/sidway/gateway/pace"
)

const second = time.Second

// take takes as many tokens as there are at that time.
func take(b *pace.Bucket, now time.Duration, rate, burst float64) (n int) {
	for b.Wait(now, rate, burst) == 0 {
		b.Take()
		n++
	}
	return n
}

func TestBucket(t *testing.T) {
	b := pace.Full()
	for _, step := range []struct {
		now         time.Duration
		rate, burst float64
		want        int
	}{
		{5 * second, 200, 400, 400}, // full from the start
		{5 * second, 200, 400, 0},
		{6 * second, 200, 400, 200},
		{6*second + 5*time.Millisecond, 200, 400, 1},
		{time.Hour, 200, 400, 400},
		{time.Hour + second, 200, 50, 50}, // another burst holds at once
		{time.Hour + 2*second, 0.5, 0.1, 0},
		{time.Hour + 3*second, 0.5, 0.1, 1}, // it holds one token at least
	} {
		if got := take(&b, step.now, step.rate, step.burst); got != step.want {
			t.Errorf("at %v: %d tokens, want %d", step.now, got, step.want)
		}
	}
	b.GiveBack()
	if got := take(&b, time.Hour+3*second, 0.5, 10); got != 1 {
		t.Errorf("%d tokens after one was given back", got)
	}
}

// A bucket has a token when it said that it would, and not before, whatever its rate.
func TestBucketTellsWhenToComeAgain(t *testing.T) {
	for range 1000 {
		rate := math.Exp(rand.Float64()*20 - 6)
		var b pace.Bucket
		now := time.Duration(0)
		for range 20 {
			wait := b.Wait(now, rate, 1)
			if early := b.Wait(now+wait*9/10, rate, 1); wait > 100 && early == 0 {
				t.Fatalf("rate %v: a token before %v were over", rate, wait)
			}
			now += wait
			if late := b.Wait(now, rate, 1); late > time.Nanosecond {
				t.Fatalf("rate %v: no token after %v, but in another %v", rate, wait, late)
			} else if now += late; b.Wait(now, rate, 1) > 0 {
				t.Fatalf("rate %v: no token", rate)
			}
			b.Take()
		}
	}
	var b pace.Bucket
	if wait := b.Wait(0, 1e-300, 1); wait <= 0 || wait > 2*time.Hour {
		t.Errorf("%v for a token that never comes", wait)
	}
}

// served takes all out of q.
func served(q *pace.Queue[string, string]) (all []string) {
	places := map[string]bool{}
	for v, ok := q.First(); ok; v, ok = q.First() {
		if places[v] {
			panic(v + " is served twice")
		}
		places[v] = true
		all = append(all, v)
		q.Rotate()
		q.Remove(placeOf[v])
	}
	return all
}

var placeOf = map[string]pace.Place[string]{}

func push(q *pace.Queue[string, string], key string, n int) {
	for i := range n {
		v := fmt.Sprint(key, i)
		placeOf[v] = q.Push(key, v)
	}
}

func TestQueueServesKeysInTurn(t *testing.T) {
	var q pace.Queue[string, string]
	push(&q, "a", 4)
	push(&q, "b", 1)
	push(&q, "c", 2)
	if got, want := served(&q), []string{"a0", "b0", "c0", "a1", "c1", "a2", "a3"}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	push(&q, "a", 3)
	push(&q, "b", 2)
	q.Remove(placeOf["a0"])
	q.Remove(placeOf["b1"])
	if got, want := served(&q), []string{"a1", "b0", "a2"}; !slices.Equal(got, want) || q.Len() != 0 {
		t.Errorf("%v, want %v; %d are left", got, want, q.Len())
	}
	if _, ok := q.First(); ok {
		t.Error("an empty queue has a first")
	}
}

func TestQueueFindsTheLongestLine(t *testing.T) {
	var q pace.Queue[string, string]
	longest := func(than string) string {
		v, ok := q.Longest(than)
		return fmt.Sprint(v, ok)
	}
	if got := longest("a"); got != "false" {
		t.Error(got)
	}
	push(&q, "a", 3)
	push(&q, "b", 2)
	push(&q, "c", 1)
	for than, want := range map[string]string{"a": "false", "b": "false", "c": "a2true", "d": "a2true"} {
		if got := longest(than); got != want {
			t.Errorf("longer than %s's: %s, want %s", than, got, want)
		}
	}
}
