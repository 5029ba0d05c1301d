# What every hook of a native package runs, with these set: root, the package's folder; host, the host's name; and start,
# which is --start where a session starts, the only moment at which trouble is told.
#
# The host's shell reads this file itself (`.`), which saves the start of another shell. Codex gives a command to the
# user's login shell, which need not be a POSIX one: there a sh is started for it.
[ "$HOLDFAST_DISABLE" != 1 ] || exit 0
data=${CLAUDE_PLUGIN_DATA:-} # the name that Claude Code, Codex CLI and Copilot CLI share
if [ "$host" = gemini ] || [ -z "$data" ]; then
  data=${XDG_DATA_HOME:-${HOME:+$HOME/.local/share}}
  data=${data:-/dev/null}/holdfast-$host # where nothing can be written: without a home there is no place for it
fi
own=
if [ -e "$data/ready" ] && [ -x "$data/environment/bin/python" ]; then
  own=$data/environment/bin/python
fi
for python in ${own:+"$own"} python3; do # an upgrade may have taken away what the environment's interpreter leads to
  "$python" -I -S "$root/hooks/run.py" --host "$host" --data "$data" ${start:+"$start"} && exit
done
[ -n "$start" ] || exit 0
case $host in
copilot) key=additionalContext ;;
*) key=systemMessage ;;
esac
echo "{\"$key\": \"Holdfast: its hooks do nothing: no python3 (3.10 or newer) can be run, or its package is damaged\"}"
