package policies

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/env"
)

const (
	// maxWhen bounds an expression's text, whenCost what one evaluation may cost in CEL's own units (about a millisecond).
	maxWhen  = 4096
	whenCost = 20_000
)

// The variables of an expression. What is judged stands below "target", since CEL reserves the word "package".
const (
	varClaims   = "claims"
	varPackage  = "target.package"
	varVersion  = "target.version"
	varRegistry = "target.registry"
	varAction   = "target.action"
	varTime     = "request.time"
)

// condition is a compiled `when` expression. Equal texts share one.
type condition struct {
	text    string
	program cel.Program
	// variables are those that the expression uses: at an exchange, which names no version and often no package, it may have
	// to be left open.
	variables []string
}

// whenEnv is the language of `when`: CEL's standard library without regular expressions, which are not anchored.
var whenEnv = sync.OnceValues(func() (*cel.Env, error) {
	subset := env.NewLibrarySubset().AddExcludedFunctions(env.NewFunction("matches"))
	return cel.NewCustomEnv(
		cel.StdLib(cel.StdLibSubset(subset)),
		cel.EagerlyValidateDeclarations(true),
		cel.Variable(varClaims, cel.MapType(cel.StringType, cel.DynType)),
		cel.Variable(varPackage, cel.StringType),
		cel.Variable(varVersion, cel.StringType),
		cel.Variable(varRegistry, cel.StringType),
		cel.Variable(varAction, cel.StringType),
		cel.Variable(varTime, cel.TimestampType),
		cel.ASTValidators(cel.ValidateDurationLiterals(), cel.ValidateTimestampLiterals(), cel.ValidateComprehensionNestingLimit(1)),
	)
})

// whenError is a mistake in an expression, with its place in it; both numbers start at 1.
type whenError struct {
	line, column int
	message      string
}

func (e *whenError) Error() string { return e.message }

// newCondition compiles and checks an expression.
func newCondition(text string) (*condition, []*whenError) {
	environment, err := whenEnv()
	if err != nil {
		return nil, []*whenError{{1, 1, err.Error()}}
	}
	checked, issues := environment.Compile(text)
	if issues.Err() != nil {
		var out []*whenError
		for _, e := range issues.Errors() {
			out = append(out, &whenError{max(e.Location.Line(), 1), e.Location.Column() + 1, whenMessage(e.Message)})
		}
		return nil, out
	}
	if !checked.OutputType().IsExactType(cel.BoolType) {
		return nil, []*whenError{{1, 1, fmt.Sprintf("the expression gives a %s, expected true or false: compare it with something", checked.OutputType())}}
	}
	program, err := environment.Program(checked, cel.CostLimit(whenCost), cel.EvalOptions(cel.OptOptimize))
	if err != nil {
		return nil, []*whenError{{1, 1, err.Error()}}
	}
	return &condition{text: text, program: program, variables: variablesOf(checked.NativeRep().Expr())}, nil
}

// whenMessage makes the compiler's message say what to do.
func whenMessage(message string) string {
	if strings.Contains(message, "'matches'") {
		return "matches is not available, since an unanchored expression matches more than it says; use ==, startsWith, endsWith or in"
	}
	for _, name := range []string{varPackage, varVersion, varRegistry, varAction} {
		word := strings.TrimPrefix(name, "target.")
		if message == "reserved identifier: "+word || strings.HasPrefix(message, "undeclared reference to '"+word+"'") {
			return fmt.Sprintf("there is no variable %s; write %s", word, name)
		}
	}
	return message
}

// variablesOf lists the variables that an expression uses.
func variablesOf(root ast.Expr) (used []string) {
	ast.PreOrderVisit(root, ast.NewExprVisitor(func(e ast.Expr) {
		if e.Kind() == ast.IdentKind {
			used = append(used, e.AsIdent())
		}
	}))
	return used
}

// names is true where the expression uses a variable.
func (c *condition) names(variable string) bool { return slices.Contains(c.variables, variable) }

// errFalse says that the expression was evaluated and is false.
var errFalse = errors.New("false")

// holds evaluates the expression; an error, an absent claim included, never holds.
func (c *condition) holds(f *facts) error {
	result, _, err := c.program.Eval(&activation{f})
	if err != nil {
		return err
	}
	if is, ok := result.Value().(bool); ok && is {
		return nil
	}
	return errFalse
}

// activation gives an expression its variables.
type activation struct{ f *facts }

// Parent is part of the interface; there is none.
func (*activation) Parent() cel.Activation { return nil }

// ResolveName finds a variable.
func (a *activation) ResolveName(name string) (any, bool) {
	switch name {
	case varClaims:
		return a.f.celClaims(), true
	case varPackage:
		return a.f.target.Package, true
	case varVersion:
		return a.f.target.Version, true
	case varRegistry:
		return a.f.target.Registry, true
	case varAction:
		return string(a.f.target.Action), true
	case varTime:
		return a.f.now(), true
	}
	return nil, false
}

var _ cel.Activation = (*activation)(nil)

// celValue turns a claim into what CEL knows: numbers become integers where they are.
func celValue(v any) any {
	switch v := v.(type) {
	case json.Number:
		if i, err := v.Int64(); err == nil {
			return i
		}
		if f, err := v.Float64(); err == nil {
			return f
		}
		return v.String()
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = celValue(v[i])
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(v))
		for k := range v {
			out[k] = celValue(v[k])
		}
		return out
	case string, bool, nil, int64, float64, time.Time:
		return v
	}
	return fmt.Sprint(v)
}

// conditions compiles each distinct expression once, for all files of a load.
type conditions struct {
	mu   sync.Mutex
	have map[string]*condition
}

func (c *conditions) compile(text string) (*condition, []*whenError) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if done, ok := c.have[text]; ok {
		return done, nil
	}
	done, errs := newCondition(text)
	if errs != nil {
		return nil, errs
	}
	if c.have == nil {
		c.have = map[string]*condition{}
	}
	c.have[text] = done
	return done, nil
}
