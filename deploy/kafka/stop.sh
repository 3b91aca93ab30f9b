#!/bin/sh
# Stops the Kafka that start.sh started (KAFKA_PORT, 19092; or KAFKA_HOME), gently, then by force. Its data stays.
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
port=${KAFKA_PORT:-19092}
home=$root/.local/kafka
[ "$port" = 19092 ] || home=$home-$port
home=${KAFKA_HOME:-$home}

# True while the pid is that of our broker: a number alone may have gone to another process.
runs() {
    [ -s "$home/pid" ] || return 1
    if [ -d /proc/self ]; then
        tr '\0' ' ' <"/proc/$(cat "$home/pid")/cmdline" 2>/dev/null
    else
        ps -p "$(cat "$home/pid")" -o args= 2>/dev/null
    fi | grep -qF "kafka.Kafka $home/server.properties"
}

if ! runs; then
    echo "kafka: none running on port $port"
    exit 0
fi
pid=$(cat "$home/pid")
kill -CONT "$pid" # A frozen one would not hear the next signal.
kill "$pid"
tries=100
while runs; do
    tries=$((tries - 1))
    if [ "$tries" -le 0 ]; then
        echo "kafka: pid $pid did not end within 20 s and is killed" >&2
        kill -9 "$pid"
        break
    fi
    sleep 0.2
done
rm -f "$home/pid"
echo "kafka: stopped"
