#!/bin/sh
# Git's way to ask for a login (GIT_ASKPASS): the question comes as an argument, the answer is taken
# from the environment. Only the repository's own host gets one, whatever a server redirects to.
case "$1" in
"Username for '$MIST_GIT_PLACE': ")
    printf '%s\n' "$MIST_GIT_USERNAME" ;;
"Password for '$MIST_GIT_PLACE_AS_USER': " | "Password for '$MIST_GIT_PLACE': ")
    printf '%s\n' "$MIST_GIT_PASSWORD" ;;
*)
    echo "mist: another host asks for a login" >&2
    exit 1 ;;
esac
