#!/bin/sh
# choose.sh FUZZER CORPUS [TARGET...]: chooses, of what the search of each target (default: all) has kept below CORPUS, a few
# small inputs that reach most of what they all reach, and writes them to Corpus/TARGET.hex.
set -eu
fuzzer=$1
corpus=$2
shift 2
[ $# -gt 0 ] || set -- $("$fuzzer")
here=$(cd "$(dirname "$0")" && pwd)
export SWIFT_BACKTRACE=enable=no
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for target; do
  rm -rf "$work"/*
  mkdir "$work/small" "$work/merged" "$work/none"
  find "$corpus/$target" -type f -size -513c -exec cp -t "$work/small" {} +
  "$fuzzer" "$target" -merge=1 "$work/merged" "$work/small" 2>"$work/log" &&
    "$fuzzer" "$target" -set_cover_merge=1 -merge_control_file="$work/control" "$work/none" "$work/merged" 2>"$work/log" ||
    { tail -20 "$work/log"; exit 1; }
  # The control file: how many inputs, how many of the first directory, their names; then what each reaches. The next is always
  # the one that reaches most of what is not reached yet.
  awk -v inputs=60 -v bytes=20000 '
    NR == 1 { count = $1 }
    NR > 2 && NR <= count + 2 { name[NR - 3] = $0 }
    $1 == "STARTED" { size[$2] = $3 }
    $1 == "FT" {
      reach[$2] = $0
      gain[$2] = NF - 2
      for (f = 3; f <= NF; f++) reachers[$f, many[$f]++] = $2
    }
    END {
      while (taken++ < inputs) {
        best = -1
        for (i in gain) if (gain[i] > 0 && size[i] <= bytes && (best < 0 || gain[i] > gain[best])) best = i
        if (best < 0) break
        print name[best]
        bytes -= size[best]
        fields = split(reach[best], features, " ")
        for (f = 3; f <= fields; f++) {
          feature = features[f]
          for (i = 0; i < many[feature]; i++) gain[reachers[feature, i]]--
          many[feature] = 0
        }
      }
    }' "$work/control" | while read -r input; do
    od -An -v -tx1 "$input" | tr -d ' \n'
    echo
  done >"$here/Corpus/$target.hex"
  echo "$target: $(wc -l <"$here/Corpus/$target.hex") of $(ls "$corpus/$target" | wc -l) inputs"
done
