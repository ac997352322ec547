package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"
)

// row is one line of the goals: trials that are compared with each other.
type row struct {
	name, unit, goal string
	// base is the label of the trial that the others are compared with; empty: none.
	base string
	// difference: values are compared by what is between them, not by their ratio.
	difference bool
	trials     func(*rig) []trial
	// fresh: every round starts with new processes. The first three rounds must do then.
	fresh bool
}

// trial is what is done on one side in one round.
type trial struct {
	label, side string // side is empty where none is asked
	run         func(context.Context, *rig, *side) (outcome, error)
}

// outcome is how many units were done in a time, or a value that was read.
type outcome struct {
	units   float64
	elapsed time.Duration
	value   float64
}

// sample is one round of one trial: units in a second, or the value, and processor time for each unit.
type sample struct{ value, processor float64 }

// measurement are all rounds of one trial.
type measurement struct {
	row     row
	label   string
	samples []sample
	base    []sample // of the trial that it is compared with; nil for that one itself
}

// measure does the rounds of a row. The trials take turns, and every other round goes backwards.
func (r *rig) measure(ctx context.Context, w row) ([]measurement, error) {
	trials := w.trials(r)
	out := make([]measurement, len(trials))
	rounds := r.opts.rounds
	if w.fresh {
		rounds = min(rounds, 3)
	}
	for round := range rounds {
		fmt.Fprintf(os.Stderr, "%s: round %d of %d\n", w.name, round+1, rounds)
		if w.fresh {
			if err := r.restart(ctx); err != nil {
				return nil, err
			}
		}
		order := make([]int, len(trials))
		for i := range order {
			order[i] = i
		}
		if round%2 == 1 {
			slices.Reverse(order)
		}
		for _, i := range order {
			got, err := r.once(ctx, w.name, trials[i])
			if err != nil {
				return nil, fmt.Errorf("%s: %w", trials[i].label, err)
			}
			out[i].samples = append(out[i].samples, got)
		}
	}
	for i, t := range trials {
		out[i].row, out[i].label = w, t.label
	}
	for i, t := range trials {
		if t.label == w.base {
			for j := range out {
				if j != i {
					out[j].base = out[i].samples
				}
			}
		}
	}
	return out, nil
}

// once does one trial.
func (r *rig) once(ctx context.Context, row string, t trial) (sample, error) {
	if t.side == "" {
		got, err := t.run(ctx, r, nil)
		return got.sample(0), err
	}
	s := r.named(t.side)
	before, err := s.processor()
	if err != nil {
		return sample{}, err
	}
	profiled := r.profile(ctx, row, s)
	got, err := t.run(ctx, r, s)
	if err = errors.Join(err, <-profiled); err != nil {
		return sample{}, err
	}
	after, err := s.processor()
	return got.sample(after - before), err
}

func (o outcome) sample(processor time.Duration) sample {
	if o.elapsed == 0 {
		return sample{value: o.value}
	}
	return sample{o.units / o.elapsed.Seconds(), processor.Seconds() / o.units}
}
