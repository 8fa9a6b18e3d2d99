#!/bin/sh
# Reviews a change of the configuration below PATH, for a job of a pull or merge request:
#
#   review.sh --base REVISION [--verify] [--comment] [--out FOLDER] PATH
#
# FOLDER (sallyport-review if not said otherwise) then has comment.md, which says what calls change and, with --verify, what is proved; and diff.sarif,
# analyze.sarif and verify.sarif for code scanning. --comment puts comment.md on the request (comment.mjs).
# Ends with 1 where access widens or is protected less, analysis finds an error, or a statement is refuted, and with 3 where a question could not be answered.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
# The program of the package that this file is part of.
program=${SALLYPORT:-$here/../../bin/sallyport.js}
base='' out=sallyport-review verify='' comment='' path=''

fail() {
  echo "review.sh: $1" >&2
  exit 2
}

while [ $# -gt 0 ]; do
  case $1 in
    --base) base=${2:?--base needs a revision} && shift 2 ;;
    --out) out=${2:?--out needs a folder} && shift 2 ;;
    --verify) verify=yes && shift ;;
    --comment) comment=yes && shift ;;
    -*) fail "$1 is not known: it is --base, --out, --verify or --comment" ;;
    *) [ -z "$path" ] || fail "one path is reviewed: $path or $1" && path=$1 && shift ;;
  esac
done
[ -n "$path" ] || fail 'say which folder holds the configuration'
[ -n "$base" ] || fail 'say what is compared with, as --base origin/main'
git rev-parse --quiet --verify "$base^{commit}" >/dev/null ||
  fail "$base is no revision here: a job that clones without history has to fetch it first (GitHub: fetch-depth: 0; GitLab: GIT_DEPTH: 0)"

mkdir -p "$out"
worst=0

# ask FORMAT FILE QUESTION ARGUMENT...: one question, whose exit code counts.
ask() {
  format=$1 file=$2
  shift 2
  code=0
  node "$program" "$@" -o "$format" >"$file" || code=$?
  [ "$code" -le "$worst" ] || worst=$code
}

# section TITLE QUESTION ARGUMENT...: what a question answers, in the comment; that it has no answer is no silence.
section() {
  title=$1
  shift
  ask markdown "$out/answer.md" "$@"
  printf '\n**%s**\n\n' "$title" >>"$out/comment.md"
  if [ "$code" -le 1 ]; then cat "$out/answer.md"; else echo "$title could not be answered (exit code $code): the job's log says why."; fi >>"$out/comment.md"
  rm "$out/answer.md"
}

ask sarif "$out/analyze.sarif" analyze "$path"
printf '<!-- sallyport review -->\n### What this change does to `%s`\n' "$path" >"$out/comment.md"
ask sarif "$out/diff.sarif" diff "git:$base:$path" "$path"
section 'What calls change' diff "git:$base:$path" "$path"
if [ -n "$verify" ]; then
  ask sarif "$out/verify.sarif" verify "$path"
  section 'What is proved' verify "$path"
fi

[ -z "$comment" ] || node "$here/comment.mjs" "$out/comment.md"
exit "$worst"
