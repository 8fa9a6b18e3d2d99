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

# ask NAME FORMAT FILE ARGUMENT...: one question, whose exit code counts.
ask() {
  name=$1 format=$2 file=$3
  shift 3
  code=0
  node "$program" "$name" "$@" -o "$format" >"$file" || code=$?
  [ "$code" -le "$worst" ] || worst=$code
}

old=git:$base:$path
if ! git cat-file -e "$base:./${path#./}" 2>/dev/null; then
  # All of it is new: it is held against nothing at all.
  old=$(mktemp -d)
  trap 'rm -rf "$old"' EXIT
  set -- --allow-empty
fi

ask analyze sarif "$out/analyze.sarif" "$path"
ask diff sarif "$out/diff.sarif" "$old" "$path" "$@"
ask diff markdown "$out/diff.md" "$old" "$path" "$@"
{
  echo '<!-- sallyport review -->'
  echo "### What this change does to \`$path\`"
  echo
  echo '**Calls that change**'
  echo
  cat "$out/diff.md"
} >"$out/comment.md"
rm "$out/diff.md"
if [ -n "$verify" ]; then
  ask verify sarif "$out/verify.sarif" "$path"
  ask verify markdown "$out/verify.md" "$path"
  { printf '\n**What is proved**\n\n' && cat "$out/verify.md"; } >>"$out/comment.md"
  rm "$out/verify.md"
fi

[ -z "$comment" ] || node "$here/comment.mjs" "$out/comment.md"
exit "$worst"
