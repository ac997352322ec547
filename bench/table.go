package main

import (
	"fmt"
	"slices"
	"strings"
)

// table prints the measurements in Markdown: of each the median, the least and the greatest. Ratios are of the same round.
func table(all []measurement) string {
	var b strings.Builder
	b.WriteString("| | side | value | processor per unit | compared | processor compared | goal |\n|---|---|---|---|---|---|---|\n")
	last := ""
	for _, m := range all {
		value, processor := m.values()
		name, goal := m.row.name, m.row.goal
		if name == last {
			name, goal = "", "" // they stand in the first line
		}
		last = m.row.name
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s | %s |\n", name, m.label, value, processor, m.compared(), m.processorCompared(), goal)
	}
	return b.String()
}

// values are the medians, and where the values lie.
func (m measurement) values() (value, processor string) {
	var values, processors []float64
	for _, s := range m.samples {
		values, processors = append(values, s.value), append(processors, s.processor)
	}
	value = fmt.Sprintf("%s (%s to %s) %s", number(median(values)), number(slices.Min(values)), number(slices.Max(values)), m.row.unit)
	return value, seconds(median(processors))
}

// compared is how the values stand to those of the base.
func (m measurement) compared() string {
	var ratios []float64
	for i, base := range m.base {
		if m.row.difference {
			ratios = append(ratios, m.samples[i].value-base.value)
		} else {
			ratios = append(ratios, m.samples[i].value/base.value)
		}
	}
	text := spread(ratios)
	if m.row.difference && text != "" {
		text = "+ " + text
	}
	return text
}

func (m measurement) processorCompared() string {
	var ratios []float64
	for i, base := range m.base {
		if base.processor > 0 {
			ratios = append(ratios, m.samples[i].processor/base.processor)
		}
	}
	return spread(ratios)
}

// spread is the median of some ratios and where they lie.
func spread(ratios []float64) string {
	if len(ratios) == 0 {
		return ""
	}
	return fmt.Sprintf("%.2f (%.2f to %.2f)", median(ratios), slices.Min(ratios), slices.Max(ratios))
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	if n := len(sorted); n%2 == 0 {
		return (sorted[n/2-1] + sorted[n/2]) / 2
	}
	return sorted[len(sorted)/2]
}

// number is short, whatever its size.
func number(v float64) string {
	if v >= 100 {
		return fmt.Sprintf("%.0f", v)
	}
	return fmt.Sprintf("%.3g", v)
}

// seconds is a time for one unit; empty where none was read.
func seconds(v float64) string {
	switch {
	case v == 0:
		return ""
	case v < 1e-3:
		return fmt.Sprintf("%.0f µs", v*1e6)
	}
	return fmt.Sprintf("%.2f ms", v*1e3)
}
