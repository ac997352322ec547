package client

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/trustpub/trustpub/integration/toolbox"
)

// rebarConfig has rebar3 call Hex with the library that it has inside, hex_core: rebar3 evaluates it before it does anything else. Its own
// command that publishes is a plug-in, which is in Hex alone.
const rebarConfig = `
Env = fun(Name) -> case os:getenv(Name) of false -> undefined; Value -> unicode:characters_to_binary(Value) end end,
ok = logger:set_primary_config(level, error), % this rebar3 gives hex_core no authorities, and Erlang warns of it with the time of day
{ok, _} = application:ensure_all_started(ssl),
{ok, _} = application:ensure_all_started(inets),
Name = Env("HEXTEST_NAME"),
Version = Env("HEXTEST_VERSION"),
Default = r3_hex_core:default_config(),
Config = Default#{api_url => Env("HEX_API_URL"), api_key => Env("HEX_API_KEY"), api_repository => Env("HEXTEST_REPOSITORY")},
Meta = #{<<"name">> => Name, <<"version">> => Version, <<"app">> => Name, <<"description">> => <<"a package of the tests: \"ä\"">>,
    <<"licenses">> => [<<"Apache-2.0">>], <<"links">> => #{}, <<"build_tools">> => [<<"rebar3">>], <<"files">> => [<<"src/widget.erl">>],
    <<"requirements">> => #{<<"other">> => #{<<"app">> => <<"other">>, <<"optional">> => false, <<"requirement">> => <<"~> 1.0">>}}},
Answer = case os:getenv("HEXTEST_CALL") of
    "publish" ->
        {ok, #{tarball := Tarball}} = r3_hex_tarball:create(Meta, [{"src/widget.erl", <<"-module(widget).">>}]),
        r3_hex_api_release:publish(Config, Tarball);
    "retire" -> r3_hex_api_release:retire(Config, Name, Version, #{<<"reason">> => <<"security">>, <<"message">> => <<"use another">>});
    "unretire" -> r3_hex_api_release:unretire(Config, Name, Version);
    "revert" -> r3_hex_api_release:delete(Config, Name, Version)
end,
case Answer of
    {ok, {Status, _, _}} when Status < 300 -> io:format("~p~n", [Status]), halt(0);
    {ok, {Status, _, #{<<"message">> := Message} = Body}} -> io:format("~p ~ts~n", [Status, Message]), io:format("~p~n", [maps:get(<<"errors">>, Body, #{})]), halt(1);
    Failed -> io:format("~p~n", [Failed]), halt(2)
end,
CONFIG.
`

// HexCore calls Hex with hex_core, the library of mix and rebar3, in the rebar3 of the distribution: publish, retire, unretire or revert. The
// release is of an organisation, unless that is empty. Without a key it is that of the carrier, and so is the URL.
func (h Home) HexCore(ctx context.Context, api, key, organization, call, name, version string) (Result, error) {
	program, err := toolbox.Rebar3.Program(ctx)
	if err != nil {
		return Result{}, err
	}
	project := filepath.Join(h.Dir, "project")
	if err := os.MkdirAll(project, 0o755); err != nil {
		return Result{}, err
	}
	for file, text := range map[string]string{"rebar.config": "", "rebar.config.script": rebarConfig} {
		if err := os.WriteFile(filepath.Join(project, file), []byte(text), 0o644); err != nil {
			return Result{}, err
		}
	}
	env := []string{"HEXTEST_CALL=" + call, "HEXTEST_NAME=" + name, "HEXTEST_VERSION=" + version}
	if organization != "" {
		env = append(env, "HEXTEST_REPOSITORY="+organization)
	}
	if key != "" {
		env = append(env, "HEX_API_URL="+api, "HEX_API_KEY="+key)
	}
	return h.run(ctx, project, env, program, "unlock")
}

// HexGleam calls Hex with the crate hexpm, with which Gleam's compiler does: "publish FILE", "replace FILE", "docs NAME VERSION FILE", "retire NAME
// VERSION", "unretire NAME VERSION" or "revert NAME VERSION".
func (h Home) HexGleam(ctx context.Context, api, key string, words ...string) (Result, error) {
	program, err := toolbox.HexCall(ctx)
	if err != nil {
		return Result{}, err
	}
	env := []string{"HEX_API_URL=" + api, "HEXPM_API_KEY=" + key, "SSL_CERT_FILE=" + h.CA}
	return h.run(ctx, h.Dir, env, program, words...)
}

// HexFile writes what HexGleam sends.
func (h Home) HexFile(name string, content []byte) (string, error) {
	path := filepath.Join(h.Dir, name)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		return "", fmt.Errorf("hex: %w", err)
	}
	return path, nil
}
