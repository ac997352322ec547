package policytest

import (
	"encoding/xml"
	"fmt"
	"io"
	"strings"

	"github.com/trustpub/trustpub/internal/model"
)

// Suite is the results of one file.
type Suite struct {
	File    string
	Results []Result
}

type junitSuites struct {
	XMLName xml.Name     `xml:"testsuites"`
	Suites  []junitSuite `xml:"testsuite"`
}

type junitSuite struct {
	Name     string      `xml:"name,attr"`
	Tests    int         `xml:"tests,attr"`
	Failures int         `xml:"failures,attr"`
	Time     string      `xml:"time,attr"`
	Cases    []junitCase `xml:"testcase"`
}

type junitCase struct {
	Name    string        `xml:"name,attr"`
	Class   string        `xml:"classname,attr"`
	File    string        `xml:"file,attr"`
	Line    int           `xml:"line,attr"`
	Time    string        `xml:"time,attr"`
	Failure *junitFailure `xml:"failure"`
}

type junitFailure struct {
	Message string `xml:"message,attr"`
	Text    string `xml:",chardata"`
}

// JUnit writes results in the form that CI systems show.
func JUnit(w io.Writer, suites []Suite) error {
	var all junitSuites
	for _, s := range suites {
		one := junitSuite{Name: s.File, Tests: len(s.Results)}
		total := 0.0
		for i := range s.Results {
			r := &s.Results[i]
			c := junitCase{Name: r.Test.Name, Class: s.File, File: s.File, Line: r.Test.Line, Time: fmt.Sprintf("%.6f", r.Elapsed.Seconds())}
			total += r.Elapsed.Seconds()
			if len(r.Failures) > 0 {
				one.Failures++
				c.Failure = &junitFailure{Message: model.OneLine(r.Failures[0], 1000), Text: strings.Join(r.Failures, "\n")}
			}
			one.Cases = append(one.Cases, c)
		}
		one.Time = fmt.Sprintf("%.6f", total)
		all.Suites = append(all.Suites, one)
	}
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	enc := xml.NewEncoder(w)
	enc.Indent("", "  ")
	if err := enc.Encode(all); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}
