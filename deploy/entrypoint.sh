#!/bin/sh
# One image, one process a container: entrypoint.sh PROCESS [ARGUMENTS].
# Every process is exec'ed, so that signals reach it and its exit code is the container's.
# Each queue of postroom/queues.py is consumed by one case below; a test holds that.
set -eu

process="${1:-}"
if [ "$#" -gt 0 ]; then shift; fi

case "$process" in
    worker)
        exec celery --quiet -A worker.app worker -n worker@%h -Q transactional,batches "$@"
        ;;
    producer)
        exec celery --quiet -A producers.app worker -n producer@%h -Q campaigns "$@"
        ;;
    flower)
        # `args` shows campaign and batch, never an address; Flower leaves that column out.
        if [ "$#" -eq 0 ]; then echo "Flower: http://127.0.0.1:5555" >&2; fi
        exec celery --quiet -A worker.app flower --read-only --port=5555 \
            --tasks-columns=name,args,state,received,runtime,worker "$@"
        ;;
    simulator)
        exec python -m simulator "$@"
        ;;
    postroom)
        exec postroom "$@"
        ;;
    *)
        echo "usage: entrypoint.sh worker|producer|flower|simulator|postroom [arguments]" >&2
        exit 2
        ;;
esac
