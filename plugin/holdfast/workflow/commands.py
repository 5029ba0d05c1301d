"""Command patterns that have a name: what a signal may write as `command: "@tests"` in place of a regex.

A test run proves something only where its exit code is the command's own: as the last of a line, without a pipe, `||`
or `&` behind it. `pytest | tail` and `pytest || true` hide a failure, `pip install pytest` runs no test, `pytest
--version` neither. No unbounded repeat stands inside another, so the work is bounded by construction;
`tests/templates_test.py` holds what they match and what they must not.
"""

TESTS = r"""(?x) \A(\()? (?s:.*(?:;|(?<!>)&|(?<!\\)\n))? [ \t]{0,40}(?:\\\n[ \t]{0,40})?
# What may stand before the runner: settings, options, wrappers.
(?:(?: [A-Za-z_]\w{0,60}=(?:"[^"]{0,200}"|'[^']{0,200}'|[^\s"';|&]{0,200})
  |-(?=((?:(?:-(?:with|extra|group|package)|[uW])[ ])?))\2[^\s;|&]{1,99}|[\d.]{1,9}[smh]?
  |env|time|timeout|nice|sudo|xvfb-run|cross-env|uvx?|run|exec|poetry|pipenv|pdm|pipx|hatch|rye|npx|bunx?|npm|pnpm
  |yarn|bundle|coverage|sh|bash|php|py|docker[ -]compose[ ](?:exec|run)(?:[ ]-[\w-]{1,20}){0,4}[ ]\w[\w.-]{0,60}
  |(?:[^\s;|&]{0,200}/)?python[\d.]{0,6})[ \t]{1,9}){0,10}
# The runner.
(?:[^\s;|&]{0,200}/)?
(?:pytest|py\.test|unittest|jest|vitest|mocha|rspec|phpunit|ctest|gotestsum|bats|(?:run[-_])?tests?\.(?:sh|py)
  |(?:tox|nox)(?![ ]-?-?l)|cargo[ ]nextest[ ]run|(?:manage\.py|artisan|playwright|rails|mix|ng)[ ]test
  |(?:go|cargo|dotnet|swift|dart|flutter|bazel)(?:[ ][-+][^\s;|&]{1,60}){0,4}[ ]test
   (?![^&]{0,400}[ ]-(?:c|list)(?!\S))
  |(?:(?:npm|pnpm|yarn|bun|deno|composer|hatch|just|task|rake|nx|turbo)(?:[ ](?:run|task
      |workspace[ ][^\s;|&]{1,60}
      |-(?=((?:(?:-(?:prefix|filter|workspace)|[CFw])[ ])?))\3[^\s;|&]{1,99})){0,5}[ ](?!check|verify)
    |(?:make|mvnw?|gradlew?)(?:[ ](?!-[nmx][ ]|-D\S{0,20}[sS]kip)[^\s;|&]{1,99}){0,8}?[ ](?<!-[Cf][ ])(?<!-pl[ ]))
   (?:[\w:]{0,60}:|(?:unit|integration|e2e|run|all)[_-])?(?:check|verify|tests?(?:(?:[:_-]|(?=[A-Z]))
   (?!deps|data|clean|build|setup|lint|types|Classes)[\w:.-]{1,60})?)(?![^&]{0,400}[ ]-[nx](?!\S)))
(?![\w./:=@-]) (?!(?s:.){900})
# Not what only looks at the tests.
(?![^&]{0,900}\s(?:--(?:version|help|collect-?only|co|list[\w-]*|fixtures|markers|setup-plan|no-?(?:run|test)
  |dry-run|if-present|show[cC]onfig)|-h|-V|-D\S{0,20}[sS]kip\S{0,20})(?![\w-]))
# To the end: no pipe, no `;`, no `&`; only `&&` may follow.
(?:[^'"|;&\n()`\\]|"[^"]{0,900}"|'[^']{0,900}'|\([^()]{0,900}\)|\\[\s\S]|&&(?:[ \t]{0,9}\n)?
  |(?<=>)&|&(?=>)){0,900}
(?(1)\)?) (?:[;\n][\s;]{0,99})?\Z
"""

COMMIT = r"""(?x) (?:\A|[;&\n])[ \t]{0,40} git[ ](?:-[cC][ ]\S{1,200}[ ])?commit(?![\w-]) (?!(?s:.){4000})
(?!(?:[^"'&]|"[^"]{0,4000}"|'[^']{0,4000}'){0,4000}[ ]--dry-run)
(?:[^"'|;&\n]|"[^"]{0,4000}"|'[^']{0,4000}'|&&|(?<=>)&){0,4000} (?:[;\n]\s{0,99})?\Z
"""

SHIP = r"""(?x) (?:\A|[;&\n])[ \t]{0,40}(?:\w{1,60}=[^\s"']{0,200}[ ]|npx[ ]|uv[ ]run[ ]|poetry[ ]run[ ]){0,4}(?:
  git[ ](?:-C[ ]\S{1,200}[ ])?push | git[ ]tag(?=[ ](?:-[asf][ ]|--(?:sign|annotate|force)[ ]){0,4}[\w"'])
  | gh[ ]release[ ]create | (?:npm|pnpm|yarn|cargo|uv|poetry|flit|hatch)[ ]publish | gem[ ]push | docker[ ]push
  | (?:python3?[ ]-m[ ])?twine[ ]upload | kubectl[ ]apply | helm[ ]upgrade | terraform[ ]apply
  | (?:fly|flyctl|vercel|netlify|firebase|serverless|cdk|sam|wrangler)[ ](?:\S{1,60}[ ]){0,2}deploy
  | (?:make|just|rake|task|(?:npm|pnpm|yarn)[ ]run)[ ](?:deploy|release|publish)
  | (?:[^\s;|&]{0,200}/)?(?:deploy|release|publish)(?:\.(?:sh|py))?
)(?![\w./:=@-]) (?!(?s:.){900}) (?![^&]{0,900}[ ](?:--(?:dry-run|help|delete|list)|-[hndl])(?!\S))
(?:[^"'|;&\n]|"[^"]{0,900}"|'[^']{0,900}'|&&|(?<=>)&){0,900} (?:[;\n]\s{0,99})?\Z
"""

NAMED = {"@tests": TESTS, "@commit": COMMIT, "@ship": SHIP}


def resolve(command: str) -> str:
    """The regex that a signal's `command` stands for.

    Raises:
        KeyError: it begins with `@` and is no known name.
    """
    return NAMED[command] if command.startswith("@") else command
