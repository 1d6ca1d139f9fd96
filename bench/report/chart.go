package report

import (
	"encoding/xml"
	"fmt"
	"math"
	"strings"
	"unicode/utf8"
)

// A Chart is groups of horizontal bars, one bar for each series.
type Chart struct {
	Title, Axis string
	Series      []string
	Groups      []Group
}

// Group is one label with a bar for each series; a Summary without rounds has none.
type Group struct {
	Label string
	Bars  []Summary
}

// The measures of a chart, in the units of its view box.
const (
	chartWidth = 820.0
	letter     = 6.9   // as wide as a letter mostly is at most
	right      = 740.0 // where the axis ends; values may stand behind it
	top        = 64.0
	barHeight  = 13.0
	gap        = 14.0 // between groups
)

// The colours differ in lightness too, and go with a light and a dark page. The chart has a ground of its own, since the
// page's may not follow what the system prefers.
const style = `
text { font: 12px system-ui, sans-serif; fill: #1f2328 }
.ground { fill: #ffffff } .line { stroke: #d0d7de } .whisker { stroke: #1f2328 } .title { font-weight: 600; font-size: 14px }
.s0 { fill: #1158c7 } .s1 { fill: #3d9a50 } .s2 { fill: #d4842b } .s3 { fill: #b0b8c1 } .s4 { fill: #8250df } .s5 { fill: #6e7781 }
@media (prefers-color-scheme: dark) {
text { fill: #e6edf3 } .ground { fill: #0d1117 } .line { stroke: #30363d } .whisker { stroke: #e6edf3 }
.s0 { fill: #58a6ff } .s1 { fill: #56c36c } .s2 { fill: #f0a04b } .s3 { fill: #6e7681 } .s4 { fill: #bc8cff } .s5 { fill: #9aa4af }
}
`

// SVG draws the chart: medians as bars, the least and the greatest round as whiskers.
func (c Chart) SVG() []byte {
	limit, step := scale(c.greatest())
	left := c.left()
	x := func(v float64) float64 { return left + (right-left)*min(max(v, 0), limit)/limit }
	bottom := top
	for _, g := range c.Groups {
		bottom += float64(len(g.Bars))*barHeight + gap
	}
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %.0f %.0f" role="img" aria-label="%s">`,
		chartWidth, bottom+44, escape(c.Title))
	fmt.Fprintf(&b, "<style>%s</style>\n<rect class=\"ground\" width=\"100%%\" height=\"100%%\"/>\n", style)
	label(&b, 12, 22, "title", c.Title)
	c.legend(&b)
	for v := 0.0; v <= limit*1.0001; v += step {
		fmt.Fprintf(&b, `<line class="line" x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f"/>`, x(v), top-6, x(v), bottom)
		label(&b, x(v), bottom+16, "tick", number(v))
	}
	label(&b, left, bottom+34, "axis", c.Axis)
	c.bars(&b, x)
	b.WriteString("</svg>\n")
	return []byte(b.String())
}

func (c Chart) legend(b *strings.Builder) {
	at := 12.0
	for i, name := range c.Series {
		fmt.Fprintf(b, `<rect class="s%d" x="%.1f" y="36" width="10" height="10"/>`, i%6, at)
		label(b, at+15, 45, "name", name)
		at += 34 + letter*float64(utf8.RuneCountInString(name))
	}
}

func (c Chart) bars(b *strings.Builder, x func(float64) float64) {
	y := top
	for _, g := range c.Groups {
		label(b, 12, y+float64(len(g.Bars))*barHeight/2+4, "group", g.Label)
		for i, s := range g.Bars {
			if s.N > 0 {
				bar(b, x, y, i, s)
			}
			y += barHeight
		}
		y += gap
	}
}

func bar(b *strings.Builder, x func(float64) float64, y float64, series int, s Summary) {
	end, middle := x(s.Median), y+barHeight/2
	fmt.Fprintf(b, `<rect class="s%d" x="%.1f" y="%.1f" width="%.1f" height="%.1f"/>`, series%6, x(0), y+1, end-x(0), barHeight-2)
	if s.N > 1 {
		fmt.Fprintf(b, `<line class="whisker" x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f"/>`, x(s.Min), middle, x(s.Max), middle)
		end = max(end, x(s.Max))
	}
	label(b, end+5, y+barHeight-3, "value", number(s.Median))
}

func label(b *strings.Builder, x, y float64, class, text string) {
	anchor := ""
	if class == "tick" {
		anchor = ` text-anchor="middle"`
	}
	fmt.Fprintf(b, `<text class="%s" x="%.1f" y="%.1f"%s>%s</text>`+"\n", class, x, y, anchor, escape(text))
}

func escape(text string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(text)) // a strings.Builder takes everything
	return b.String()
}

// left is where bars begin: behind the longest label.
func (c Chart) left() float64 {
	longest := 0
	for _, g := range c.Groups {
		longest = max(longest, utf8.RuneCountInString(g.Label))
	}
	return 24 + letter*float64(longest)
}

func (c Chart) greatest() (v float64) {
	for _, g := range c.Groups {
		for _, s := range g.Bars {
			v = max(v, s.Max)
		}
	}
	return v
}

// scale finds a round end for an axis that has to hold v, and the distance of its ticks.
func scale(v float64) (limit, step float64) {
	if v <= 0 {
		return 1, 0.25
	}
	unit := math.Pow(10, math.Floor(math.Log10(v)))
	for _, f := range []float64{0.25, 0.5, 1, 2} {
		if step = unit * f; v <= 6*step {
			return math.Ceil(v/step) * step, step
		}
	}
	return 10 * unit, 2 * unit
}
