package control

import (
	"context"
	"crypto/rand"
	"maps"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	questionsKey = "!traces" // behind the prefix: a hash of what is asked now, sids by their question's id
	answersKey   = "!trace:" // behind the prefix, with the question's id behind it: a list of answers
	// answerTime is how long a replica waits for the others, which look for questions twice a second, and answerLook how often it looks
	// what has come.
	answerTime = 1500 * time.Millisecond
	answerLook = 50 * time.Millisecond
	// questionTTL is how long questions stay, and answerTTL how long their answers do.
	questionTTL = 3 * time.Second
	answerTTL   = 10 * time.Second
	// mostQuestions is how many are answered at a time.
	mostQuestions = 32
)

// Ask asks the other replicas what they know of a session, by their Answer, and returns what those said that did within a second or
// two, and how many there are. Without Redis, or without others, it returns at once.
func (b *Board) Ask(ctx context.Context, sid string) (answers []string, asked int) {
	client, prefix, _ := b.now()
	for _, p := range b.Peers() {
		if time.Since(p.Heard) <= staleAfter {
			asked++
		}
	}
	if client == nil || asked == 0 {
		return nil, asked
	}
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	id := rand.Text()
	b.mu.Lock()
	b.asked[id] = struct{}{} // so that this replica does not answer
	b.mu.Unlock()
	defer func() {
		b.mu.Lock()
		delete(b.asked, id)
		b.mu.Unlock()
	}()
	err := b.pipelined(ctx, client, func(p redis.Pipeliner) {
		p.HSet(ctx, prefix+questionsKey, id, sid)
		p.PExpire(ctx, prefix+questionsKey, questionTTL)
	})
	tick := time.NewTicker(answerLook)
	defer tick.Stop()
	for err == nil && len(answers) < asked {
		select {
		case <-ctx.Done():
			err = ctx.Err()
			continue
		case <-tick.C:
		}
		look := client.LRange(ctx, prefix+answersKey+id, 0, -1)
		b.rights.note(look)
		if came, failed := look.Result(); failed == nil {
			answers = came
		}
	}
	ctx, end := context.WithTimeout(context.WithoutCancel(ctx), leaveTime)
	defer end()
	b.rights.note(client.HDel(ctx, prefix+questionsKey, id)) // what is left expires
	return answers, asked
}

// answer answers what other replicas ask.
func (b *Board) answer(ctx context.Context, client redis.UniversalClient, prefix string, questions map[string]string) {
	maps.DeleteFunc(b.answered, func(id string, _ struct{}) bool { return questions[id] == "" })
	if len(questions) == 0 || b.Answer == nil {
		return
	}
	fresh := map[string]string{}
	b.mu.Lock()
	for id, sid := range questions {
		_, own := b.asked[id]
		if _, again := b.answered[id]; !own && !again && len(fresh) < mostQuestions {
			fresh[id] = sid
		}
	}
	b.mu.Unlock()
	if len(fresh) == 0 {
		return
	}
	_ = b.pipelined(ctx, client, func(p redis.Pipeliner) { // one that cannot be answered is heard of no more
		for id, sid := range fresh {
			b.answered[id] = struct{}{}
			p.RPush(ctx, prefix+answersKey+id, b.Answer(sid))
			p.PExpire(ctx, prefix+answersKey+id, answerTTL)
		}
	})
}
