# Tells CloudFormation how the image build has ended: CodeBuild's phase `post_build`, which follows a failed build, too.
#
# It needs a POSIX shell and curl. The build's own variables: STACK_ID, REQUEST_ID, LOGICAL_ID, RESPONSE_URL.
# A custom resource's response object has at most 4,096 bytes, and the reason is what a person reads: 1 KiB.

work=${TMPDIR:-/tmp}/image-build-${CODEBUILD_BUILD_ID##*:}

# As one line of a JSON text: nothing in it needs to be escaped.
plain() {
    tr '\n\t"\\' "  '/" | LC_ALL=C tr -cd ' -~' | tr -s ' ' | sed -e 's/^ //' -e 's/ $//'
}

# What was said since the last thing was begun; of a build by BuildKit what the step said that has failed.
last_words() {
    tail -n 500 "$work/said" | sed -e '/^==== /h' -e '/^==== /!H' -e '$!d' -e x | sed 1d >"$work/words"
    sed -n '/^ > \[/,/^------/p' "$work/words" | sed '$d' >"$work/step"
    if [ -s "$work/step" ]; then
        tail -n 1 "$work/words" >>"$work/step"
        mv "$work/step" "$work/words"
    fi
    plain <"$work/words" | tail -c 640
}

if [ "$CODEBUILD_BUILD_SUCCEEDING" = 1 ]; then
    status=SUCCESS
    reason="The image is there"
    data="{\"Digest\":\"$(cat "$work/digest")\"}"
else
    status=FAILED
    reason="The image build: $(plain <"$work/doing" | tail -c 100) failed: $(last_words)"
    data="{}"
fi
reason="$reason; its log: $CODEBUILD_BUILD_URL"

curl --fail --silent --show-error --retry 5 --request PUT --header 'Content-Type:' --data-binary @- "$RESPONSE_URL" <<END
{"Status":"$status","Reason":"$reason","Data":$data,"PhysicalResourceId":"$REPOSITORY","StackId":"$STACK_ID",
"RequestId":"$REQUEST_ID","LogicalResourceId":"$LOGICAL_ID"}
END
ended=$?
rm -rf "$work"
exit "$ended"
