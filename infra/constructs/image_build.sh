# Builds the pipeline's image unless it is there, pushes it, and looks at its scan: CodeBuild's phase `build`.
#
# It needs a POSIX shell, aws and docker. What it was doing, what was said meanwhile, and the image's digest lie in
# $work for image_answer.sh, which tells CloudFormation. The project's variables: REPOSITORY, URI, DOCKERFILE,
# REGISTRIES to log in to, FAILING, the severities of findings that fail the build; the build's own: TAG.

work=${TMPDIR:-/tmp}/image-build-${CODEBUILD_BUILD_ID##*:}
mkdir -p "$work"

# SageMaker takes an image's manifest of Docker's kind for a model, and neither OCI's nor a list of them, as an image
# with attestations is.
export BUILDX_NO_DEFAULT_ATTESTATIONS=1

# ECR scans behind the push, mostly within a minute.
scan_seconds=5
scan_tries=120

doing() {
    echo "$*" >"$work/doing"
    echo "==== $*"
}

# Its digest, and what kind of manifest it has.
find_image() {
    aws ecr describe-images --repository-name "$REPOSITORY" --image-ids "imageTag=$TAG" \
        --query 'imageDetails[0].[imageDigest,imageManifestMediaType]' --output text
}

# The password of a registry, from the region that its name says. Public ECR gives one in us-east-1 alone.
password() {
    case $1 in
        public.ecr.aws) aws ecr-public get-login-password --region us-east-1 ;;
        *) aws ecr get-login-password --region "$(echo "$1" | cut -d . -f 4)" ;;
    esac
}

make_image() {
    for registry in $REGISTRIES; do
        doing "login to $registry"
        secret=$(password "$registry")
        echo "$secret" | docker login --username AWS --password-stdin "$registry"
    done
    doing "docker build"
    docker build --tag "$URI:$TAG" --file "$DOCKERFILE" .
    doing "docker push"
    docker push "$URI:$TAG"
}

# The first page has what is asked here; all of them would be asked each by itself.
scan() {
    aws ecr describe-image-scan-findings --repository-name "$REPOSITORY" --image-id "imageDigest=$digest" \
        --no-paginate --query "$1" --output text
}

await_scan() {
    status=PENDING
    tries=0
    while [ "$status" = PENDING ] || [ "$status" = IN_PROGRESS ]; do
        if [ "$tries" -ge "$scan_tries" ]; then return; fi
        if [ "$tries" -gt 0 ]; then sleep "$scan_seconds"; fi
        tries=$((tries + 1))
        if scan imageScanStatus.status >"$work/status" 2>"$work/error"; then
            status=$(cat "$work/status")
        elif ! grep -q ScanNotFoundException "$work/error"; then
            cat "$work/error"
            return 1
        fi
    done
}

judge_findings() {
    judged=0
    # One word a severity; "None" where there are no findings at all.
    counts=$(scan 'imageScanFindings.findingSeverityCounts.[CRITICAL,HIGH,MEDIUM,LOW,INFORMATIONAL,UNDEFINED]')
    # shellcheck disable=SC2086
    set -- $counts
    for severity in CRITICAL HIGH MEDIUM LOW INFORMATIONAL UNDEFINED; do
        count=${1:-None}
        if [ "$#" -gt 0 ]; then shift; fi
        if [ "$count" = None ]; then count=0; fi
        echo "findings: $severity $count"
        case " $FAILING " in *" $severity "*) judged=$((judged + count)) ;; esac
    done
    if [ "$judged" -gt 0 ]; then
        echo "the scan has $judged findings of the severities $FAILING, which fail a build in this environment" \
            "(image_findings in cdk.json). They are told by: aws ecr describe-image-scan-findings" \
            "--repository-name $REPOSITORY --image-id imageDigest=$digest"
        return 1
    fi
}

# One that AWS can't do fails nothing; any other that has no findings to tell does where findings would.
judge_scan() {
    doing "scan"
    await_scan
    case $status in
        COMPLETE | ACTIVE) judge_findings ;;
        *)
            why="$status $(scan imageScanStatus.description 2>"$work/error" || cat "$work/error")"
            case $why in
                UNSUPPORTED_IMAGE* | *UnsupportedImage*)
                    echo "the image isn't scanned, since ECR can't scan such an image: $why" ;;
                *)
                    echo "the image's scan has no findings to tell: $why"
                    if [ "$FAILING" != none ]; then return 1; fi ;;
            esac ;;
    esac
}

# Tags are immutable: an image whose tag is there (a rollback to earlier code) isn't built again.
build() {
    doing "looking for the image $TAG"
    if find_image >"$work/image" 2>"$work/error"; then
        echo "$TAG is there"
    elif grep -q ImageNotFoundException "$work/error"; then
        make_image
        doing "looking for what was pushed"
        find_image >"$work/image"
    else
        cat "$work/error"
        return 1
    fi
    digest=$(cut -f 1 "$work/image")
    echo "$digest" >"$work/digest"
    echo "$URI@$digest"
    case $(cut -f 2 "$work/image") in
        *.oci.*)
            echo "its manifest is $(cut -f 2 "$work/image"), and SageMaker takes none of OCI's for a model"
            return 1 ;;
    esac
    judge_scan
}

{
    (
        set -eu
        build
    )
    echo "$?" >"$work/ended"
} 2>&1 | tee "$work/said"
exit "$(cat "$work/ended")"
