#!/usr/bin/env bats
# A callboard-webhook by itself against clients as they should not be: e2e/hostile does the talking, in
# one run against one process, and each of its tests is one here.

# shellcheck source=e2e/lib.bash
source "$BATS_TEST_DIRNAME/lib.bash"

export WEBHOOK=$root/build/callboard-webhook

setup_file() {
	"$root/build/e2e/bin/hostile" -test.v -test.timeout=600s \
		>"$BATS_FILE_TMPDIR/hostile" 2>&1 || true
}

# passes GO-TEST: whether that test passed; its figures become comments.
passes() {
	local part
	part=$(sed -n "/^=== RUN   $1\$/,/^--- [A-Z]*: $1 /p" "$BATS_FILE_TMPDIR/hostile")
	while read -r line; do
		note "$line"
	done < <(sed -n 's/.* measured: //p' <<<"$part")
	# A crash ends the run, and what comes after it has no part of its own.
	[[ $part == *"--- PASS: $1 "* ]] || fail "${part:-$(tail -n 40 "$BATS_FILE_TMPDIR/hostile")}"
}

@test "every test of e2e/hostile is one here" {
	assert_equal "$("$root/build/e2e/bin/hostile" -test.list . | sort)" \
		"$(grep -o '^	passes Test[A-Za-z0-9]*$' "$BATS_TEST_FILENAME" | cut -d' ' -f2 | sort)"
}

@test "others are served beside 300 slow clients" {
	passes TestOthersAreServedBesideThreeHundredSlowClients
}

@test "others are served while 2,000 connections are opened" {
	passes TestOthersAreServedWhileTwoThousandConnectionsAreOpened
}

@test "connections at the limit keep within their memory" {
	passes TestConnectionsAtTheLimitKeepWithinTheirMemory
}

@test "many large bodies at once keep within the memory budget" {
	passes TestManyLargeBodiesAtOnceKeepWithinTheBudget
}

@test "slow clients of the health port do not hide the process" {
	passes TestSlowClientsOfTheHealthPortDoNotHideTheProcess
}

@test "wrong paths and methods are refused" {
	passes TestWrongPathsAndMethodsAreRefused
}

@test "what is no HTTP is refused" {
	passes TestWhatIsNoHTTPIsRefused
}

@test "a body in chunks is served" {
	passes TestABodyInChunksIsServed
}

@test "a client that asks before it sends is served" {
	passes TestAClientThatAsksBeforeItSendsIsServed
}

@test "requests in one stream are answered in order" {
	passes TestRequestsInOneStreamAreAnsweredInOrder
}

@test "slow headers are cut" {
	passes TestSlowHeadersAreCut
}

@test "a slow body is cut" {
	passes TestASlowBodyIsCut
}

@test "a handshake that never ends is cut" {
	passes TestAHandshakeThatNeverEndsIsCut
}

@test "plain HTTP on the TLS port is refused" {
	passes TestPlainHTTPOnTheTLSPortIsRefused
}

@test "TLS 1.0 and 1.1 are refused" {
	passes TestOldTLSIsRefused
}

@test "a half-closed connection gets its answer" {
	passes TestAHalfClosedConnectionGetsItsAnswer
}

@test "clients that vanish are forgotten" {
	passes TestClientsThatVanishAreForgotten
}

@test "a body over the limit gets 413" {
	passes TestABodyOverTheLimitIsTooLarge
}

@test "a body up to the limit is read" {
	passes TestABodyUpToTheLimitIsRead
}

@test "a truncated review is refused" {
	passes TestATruncatedReviewIsRefused
}

@test "what is no JSON is refused" {
	passes TestWhatIsNoJSONIsRefused
}

@test "deep nesting is refused" {
	passes TestDeepNestingIsRefused
}

@test "a key that appears twice is refused" {
	passes TestAKeyThatAppearsTwiceIsRefused
}

@test "many keys are compared in linear time" {
	passes TestManyKeysAreComparedInLinearTime
}

@test "NUL and invalid UTF-8 are refused" {
	passes TestNULAndInvalidUTF8AreRefused
}

@test "millions of zeros are refused" {
	passes TestMillionsOfZerosAreRefused
}

@test "numbers that nobody can hold are refused" {
	passes TestNumbersThatNobodyCanHoldAreRefused
}

@test "a review that lacks its parts is refused" {
	passes TestAReviewThatLacksItsPartsIsRefused
}

@test "an object of wrong types is refused" {
	passes TestAnObjectOfWrongTypesIsRefused
}

@test "the worst objects get an answer" {
	passes TestTheWorstObjectsGetAnAnswer
}

@test "random damage never confuses it" {
	passes TestRandomDamageNeverConfusesIt
}

@test "memory is given back" {
	passes TestMemoryIsGivenBack
}

@test "it is ready at once and small" {
	passes TestItIsReadyAtOnceAndSmall
}

@test "it ends in order" {
	passes TestItEndsInOrder
}
