package health_test

import (
	"strings"
	"testing"

	"github.com/sidway/sidway/gateway/health"
)

func TestWords(t *testing.T) {
	for text, want := range map[string]struct {
		drain  bool
		weight float64
	}{
		"":                        {false, 1},
		"ready":                   {false, 1},
		"drain":                   {true, 1},
		"Drain\r":                 {true, 1},
		"50%":                     {false, 0.5},
		"weight=50%":              {false, 0.5},
		"0%":                      {false, 0},
		"100%":                    {false, 1},
		"ready, 25%":              {false, 0.25},
		"drain weight=7%":         {true, 0.07},
		"drain ready":             {false, 1},
		"101%":                    {false, 1},
		"-5%":                     {false, 1},
		"50":                      {false, 1},
		"%":                       {false, 1},
		"weight=":                 {false, 1},
		"ready to serve":          {false, 1},
		"drain the swamp":         {false, 1},
		"50% of the disk is used": {false, 1},
		"drained":                 {false, 1},
		`{"status":"drain"}`:      {false, 1},
		"<html>":                  {false, 1},
	} {
		if drain, weight := health.ParseWords(text); drain != want.drain || weight != want.weight {
			t.Errorf("%q: drain %v, weight %v", text, drain, weight)
		}
	}
}

func FuzzWords(f *testing.F) {
	for _, text := range []string{"", "ready", "drain", "weight=50%", "ready,25%", "101%", "drain\xff", "weight=weight=1%", "+1%", "0x1%"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		drain, weight := health.ParseWords(text)
		if weight < 0 || weight > 1 {
			t.Errorf("weight %v", weight)
		}
		if drain && !strings.Contains(strings.ToLower(text), "drain") {
			t.Error("drains unasked")
		}
		if weight != 1 && !strings.Contains(text, "%") {
			t.Error("a weight without a percent sign")
		}
	})
}
