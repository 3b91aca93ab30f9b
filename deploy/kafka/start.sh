#!/bin/sh
# Starts a real single-node Apache Kafka (KRaft) on 127.0.0.1 and waits until it serves. Does nothing when it runs.
#
# KAFKA_PORT (19092) chooses the port; the next port up is the controller's. Any other port than 19092 has its data,
# log and pid in a folder of its own (or in KAFKA_HOME), so that a test can freeze or kill a broker without harm to the
# first. KAFKA_PROPERTIES names a file of further broker properties; they win.
# KAFKA_JAVA is further options for the Java machine.
# `start.sh prepare` only sees that Java and the jars are there. Exit 3: something is not installed here.
# KAFKA_LOG_LEVEL (warn) is what the broker writes to broker.log.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
port=${KAFKA_PORT:-19092}
controller=$((port + 1))
home=$root/.local/kafka
[ "$port" = 19092 ] || home=$home-$port
home=${KAFKA_HOME:-$home}
jars=$root/.local/kafka-jars
wait_seconds_max=120

fail() {
    echo "kafka: $*" >&2
    exit 1
}

lacks() {
    echo "kafka: $*" >&2
    exit 3
}

# True while the pid is that of our broker: a number alone may have gone to another process.
runs() {
    [ -s "$home/pid" ] || return 1
    if [ -d /proc/self ]; then
        tr '\0' ' ' <"/proc/$(cat "$home/pid")/cmdline" 2>/dev/null
    else
        ps -p "$(cat "$home/pid")" -o args= 2>/dev/null
    fi | grep -qF "kafka.Kafka $home/server.properties"
}

serves() {
    grep -q 'Kafka Server started' "$home/broker.log" 2>/dev/null
}

await() {
    tries=$((wait_seconds_max * 5))
    until serves; do
        # Not `runs`: until the shell that was forked for it has become java, the pid is not yet that of a broker.
        kill -0 "$(cat "$home/pid")" 2>/dev/null || fail "the broker ended while starting; the end of $home/broker.log: $(tail -n 3 "$home/broker.log")"
        tries=$((tries - 1))
        [ "$tries" -gt 0 ] || fail "not ready after $wait_seconds_max s; see $home/broker.log"
        sleep 0.2
    done
    echo "kafka: ready on 127.0.0.1:$port (pid $(cat "$home/pid"), data in $home)"
}

command -v java >/dev/null 2>&1 || lacks "no java: install Java 17 or later (Debian: apt-get install openjdk-17-jre-headless)"
version=$(java -version 2>&1 | sed -n 's/.*version "\([0-9]*\).*/\1/p' | head -n 1)
[ "${version:-0}" -ge 17 ] || lacks "java is version ${version:-unknown}, Kafka needs 17 or later"

mkdir -p "$jars"
# One at a time: tests of several processes may ask for the broker at once. Not inherited by the broker (9>&- below).
if command -v flock >/dev/null 2>&1; then
    exec 9>"$jars/lock"
    flock 9
fi

wanted=$(cksum <"$here/pom.xml")
if [ "$(cat "$jars/stamp" 2>/dev/null || true)" != "$wanted" ]; then
    command -v mvn >/dev/null 2>&1 || lacks "no mvn: install Maven (Debian: apt-get install maven)"
    echo "kafka: fetching the pinned jars ..."
    rm -rf "$jars/lib" "$jars/stamp"
    mvn -B -q -f "$here/pom.xml" dependency:copy-dependencies -DincludeScope=runtime -DoutputDirectory="$jars/lib" >"$jars/mvn.log" 2>&1 ||
        lacks "Maven could not fetch the jars: $(tail -n 3 "$jars/mvn.log")"
    echo "$wanted" >"$jars/stamp"
fi
[ "${1:-}" != prepare ] || exit 0

if runs; then
    await
    exit 0
fi

mkdir -p "$home/data"
cat >"$home/server.properties" <<END
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:$controller
listeners=PLAINTEXT://127.0.0.1:$port,CONTROLLER://127.0.0.1:$controller
advertised.listeners=PLAINTEXT://127.0.0.1:$port
controller.listener.names=CONTROLLER
log.dirs=$home/data
auto.create.topics.enable=false
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
group.initial.rebalance.delay.ms=0
log.cleaner.backoff.ms=1000
log.segment.delete.delay.ms=1000
num.network.threads=2
num.io.threads=4
END
[ -z "${KAFKA_PROPERTIES:-}" ] || cat "$KAFKA_PROPERTIES" >>"$home/server.properties"

# SerialGC: two cores and half a gigabyte of heap.
logging="-Dorg.slf4j.simpleLogger.defaultLogLevel=${KAFKA_LOG_LEVEL:-warn} -Dorg.slf4j.simpleLogger.log.kafka.server.KafkaRaftServer=info -Dorg.slf4j.simpleLogger.showDateTime=true"
if [ ! -s "$home/data/meta.properties" ]; then
    # shellcheck disable=SC2086
    java -Xmx128m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 $logging -cp "$jars/lib/*" kafka.tools.StorageTool format \
        --cluster-id aW1wdWxzLWxvY2FsLTAwMQ --config "$home/server.properties" >"$home/format.log" 2>&1 9>&- ||
        fail "could not format $home/data: $(tail -n 3 "$home/format.log")"
fi

: >"$home/broker.log"
# Deaf to the hang-up and interrupt of the terminal that started it. shellcheck disable=SC2086
(
    trap '' HUP INT
    exec java -Xms128m -Xmx512m -XX:+UseSerialGC ${KAFKA_JAVA:-} $logging -cp "$jars/lib/*" kafka.Kafka "$home/server.properties"
) </dev/null >>"$home/broker.log" 2>&1 9>&- &
echo $! >"$home/pid"
await
