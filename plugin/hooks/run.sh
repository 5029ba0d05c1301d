# What every hook of a native package runs: sh run.sh HOST [--start]
#
# HOST is the host's name; --start says that a session starts, the only moment at which trouble is told. This is a file
# of its own because Codex gives a hook's command to the user's login shell, which need not be a POSIX one.
[ "$HOLDFAST_DISABLE" != 1 ] || exit 0
host=$1
data=${CLAUDE_PLUGIN_DATA:-} # the name that Claude Code, Codex CLI and Copilot CLI share
if [ "$host" = gemini ] || [ -z "$data" ]; then
  data=${XDG_DATA_HOME:-$HOME/.local/share}/holdfast-$host
fi
python=python3
if [ -e "$data/ready" ] && [ -x "$data/environment/bin/python" ]; then
  python=$data/environment/bin/python
fi
run=${0%/*}/run.py
[ -n "$2" ] || exec "$python" -I -S "$run" --host "$host" --data "$data"
"$python" -I -S "$run" --host "$host" --data "$data" --start && exit
case $host in
copilot) key=additionalContext ;;
*) key=systemMessage ;;
esac
echo "{\"$key\": \"Holdfast: its hooks do nothing, for no python3 (3.10 or newer) can be run here\"}"
