#!/bin/sh
# One image, one process a container: entrypoint.sh PROCESS [ARGUMENTS].
# Every process is exec'ed, so that signals reach it and its exit code is the container's.
# Each queue of postroom/broker/queues.py is consumed by one case below; a test holds that.
set -eu

# A secret may be given as a file (NAME_FILE), as Docker and Kubernetes mount theirs.
for name in POSTROOM_REDIS_URL FLOWER_BASIC_AUTH \
    AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN; do
    eval "file=\${${name}_FILE:-}"
    if [ -n "$file" ]; then
        [ -r "$file" ] || { echo "entrypoint.sh: ${name}_FILE: cannot read $file" >&2; exit 2; }
        export "$name=$(cat "$file")"
    fi
done

# Flower shows campaigns, hosts and figures: beyond this machine only with a password.
# FLOWER_PUBLISHED is where a container's port can be reached; compose.yaml sets it.
check_flower() {
    case "$reached" in
        127.* | localhost | ::1) return ;;
    esac
    [ -z "${FLOWER_BASIC_AUTH:-}" ] || return 0
    echo "flower: on $reached everybody could look in; set FLOWER_BASIC_AUTH=user:password" >&2
    exit 2
}

process="${1:-}"
if [ "$#" -gt 0 ]; then shift; fi

case "$process" in
    # Celery's nodes must not share a name: two of one host differ by their process id.
    worker)
        exec celery --quiet -A worker.app worker -n "worker-$$@%h" -Q transactional,batches "$@"
        ;;
    producer)
        exec celery --quiet -A producers.app worker -n "producer-$$@%h" -Q campaigns "$@"
        ;;
    flower)
        address="${FLOWER_ADDRESS:-127.0.0.1}" port="${FLOWER_PORT:-5555}"
        reached="${FLOWER_PUBLISHED:-$address}"
        check_flower
        # It reads these itself as well, and stumbles over empty ones.
        export FLOWER_ADDRESS="$address" FLOWER_PORT="$port"
        [ -n "${FLOWER_BASIC_AUTH:-}" ] || unset FLOWER_BASIC_AUTH
        echo "Flower: http://$reached:$port" >&2
        # `args` shows campaign and batch, `result` how it ended; never an address.
        # Its own --address and --port come last, so that no argument opens it unseen.
        exec celery --quiet -A worker.app flower --read-only \
            --tasks-columns=name,args,state,result,received,runtime,worker "$@" \
            --address="$address" --port="$port"
        ;;
    simulator)
        exec python -m simulator "$@"
        ;;
    postroom)
        exec postroom "$@"
        ;;
    ping)
        # Whether the one worker or producer of this container answers: `ping worker`.
        case "${1:-}" in
            worker) app=worker.app ;;
            producer) app=producers.app ;;
            *) echo "usage: entrypoint.sh ping worker|producer" >&2; exit 2 ;;
        esac
        exec celery --quiet -A "$app" inspect ping -t 10 -d "$1@$(hostname)"
        ;;
    *)
        echo "usage: entrypoint.sh worker|producer|flower|simulator|postroom|ping [arguments]" >&2
        exit 2
        ;;
esac
