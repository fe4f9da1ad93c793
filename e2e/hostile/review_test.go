package hostile

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
	"time"
)

// expectRefusal wants a clear refusal of each body.
func expectRefusal(t *testing.T, bodies map[string][]byte) {
	t.Helper()
	for name, body := range bodies {
		if a := ask(t, "/mutate", body); !a.refused() || !a.isJSON {
			t.Errorf("%s: %v", name, a)
		}
	}
}

func TestABodyOverTheLimitIsTooLarge(t *testing.T) {
	survive(t)
	large := withSpec(`"version":"` + strings.Repeat("x", maxBody) + `"`)
	chunked := []byte("POST /mutate HTTP/1.1\r\nHost: webhook\r\nTransfer-Encoding: chunked\r\n\r\n")
	for range 8 {
		chunked = fmt.Appendf(chunked, "%x\r\n%s\r\n", 1<<20, strings.Repeat("x", 1<<20))
	}
	chunked = append(chunked, "0\r\n\r\n"...)
	for name, request := range map[string][]byte{
		"announced and sent":         post("/mutate", large),
		"in chunks":                  chunked,
		"announced, and asked first": []byte("POST /mutate HTTP/1.1\r\nHost: webhook\r\nContent-Length: 7340033\r\nExpect: 100-continue\r\n\r\n"),
	} {
		a := send(t, request)
		if a.code != http.StatusRequestEntityTooLarge || a.message == "" {
			t.Errorf("%s: %v", name, a)
		}
	}
}

func TestABodyUpToTheLimitIsRead(t *testing.T) {
	survive(t)
	body := review()
	body = append(body, strings.Repeat(" ", maxBody-len(body))...)
	if a := ask(t, "/mutate", body); a.code != http.StatusOK || !a.allowed {
		t.Error(a)
	}
}

func TestATruncatedReviewIsRefused(t *testing.T) {
	survive(t)
	whole := review()
	for n := 0; n < len(whole); n += 11 {
		if a := ask(t, "/mutate", whole[:n]); a.code != http.StatusBadRequest || a.message == "" {
			t.Fatalf("%d bytes of %d: %v", n, len(whole), a)
		}
	}
}

func TestWhatIsNoJSONIsRefused(t *testing.T) {
	survive(t)
	bodies := map[string][]byte{}
	for _, text := range []string{
		"", " ", "\n", "null", "true", "1", `"text"`, "[]", "{}", "<xml/>", "kind: AdmissionReview", "{'kind':'x'}",
		"{kind:1}", `{"a":1,}`, `{"a" 1}`, `{"a":1}{"a":1}`, `{"a":1} x`, `{"a":tru}`, `{"a":NaN}`, `{"a":Infinity}`,
		`{"a":"` + "\n" + `"}`, `{"a":"\x"}`, `{"a":"\u12"}`, "\xef\xbb\xbf{}", "/* */{}", "{\"a\":1}\x00", "\x00", "\x16\x03\x01",
	} {
		bodies[fmt.Sprintf("%q", text)] = []byte(text)
	}
	expectRefusal(t, bodies)
}

func TestDeepNestingIsRefused(t *testing.T) {
	survive(t)
	const depth = 1 << 20
	bodies := map[string][]byte{
		"lists":            []byte(strings.Repeat("[", depth)),
		"closed lists":     []byte(strings.Repeat("[", depth) + strings.Repeat("]", depth)),
		"objects":          []byte(strings.Repeat(`{"a":`, depth)),
		"both":             []byte(strings.Repeat(`[{"a":`, depth)),
		"inside a review":  withSpec(`"config":` + strings.Repeat(`{"a":`, 100) + "1" + strings.Repeat("}", 100)),
		"lists in a field": withSpec(`"version":` + strings.Repeat("[", 1000) + strings.Repeat("]", 1000)),
	}
	expectRefusal(t, bodies)
}

func TestAKeyThatAppearsTwiceIsRefused(t *testing.T) {
	survive(t)
	bodies := map[string][]byte{
		"in the review":   review(`"kind":"AdmissionReview"`, `"kind":"AdmissionReview","kind":"AdmissionReview"`),
		"in the request":  review(`"operation":"CREATE"`, `"operation":"CREATE","operation":"DELETE"`),
		"in the object":   withSpec(`"image":"other"`),
		"written as \\u":  withSpec(`"im\u0061ge":"other"`),
		"in an empty key": withSpec(`"config":{"environment":{"":"a","":"b"}}`),
	}
	for name, body := range bodies {
		a := ask(t, "/mutate", body)
		if a.code != http.StatusBadRequest || !strings.Contains(a.message, "duplicate key") {
			t.Errorf("%s: %v", name, a)
		}
	}
}

func TestManyKeysAreComparedInLinearTime(t *testing.T) {
	survive(t)
	keys := make([]string, 200000)
	for i := range keys {
		keys[i] = fmt.Sprintf(`"k%d":1`, i)
	}
	began := time.Now()
	a := ask(t, "/mutate", withSpec(strings.Join(keys, ",")))
	took := time.Since(began)
	measured(t, "%d keys: %d ms", len(keys), took.Milliseconds())
	if a.code != http.StatusOK || took > 5*time.Second {
		t.Errorf("%v after %v", a, took)
	}
	keys[len(keys)-1] = keys[0]
	if a := ask(t, "/mutate", withSpec(strings.Join(keys, ","))); !strings.Contains(a.message, "duplicate key") {
		t.Error(a)
	}
}

func TestNULAndInvalidUTF8AreRefused(t *testing.T) {
	survive(t)
	bodies := map[string][]byte{}
	for name, text := range map[string]string{
		"NUL": "\x00", "escaped NUL": `\u0000`, "control character": "\x1f", "stray continuation": "\x80",
		"cut sequence": "\xe2\x82", "overlong slash": "\xc0\xaf", "overlong NUL": "\xc0\x80", "surrogate": "\xed\xa0\x80",
		"above U+10FFFF": "\xf4\x90\x80\x80", "0xFF": "\xff", "lone escaped surrogate": `\ud800`, "reversed surrogates": `\udc00\ud800`,
	} {
		bodies[name+" in a value"] = review("alice", text)
		bodies[name+" in a key"] = withSpec(`"` + text + `":1`)
	}
	expectRefusal(t, bodies)
}

func TestMillionsOfZerosAreRefused(t *testing.T) {
	survive(t)
	zeros := "[" + repeat("0", 3<<19) + "]"
	if len(zeros) < 3<<20 {
		t.Fatal("too short")
	}
	expectRefusal(t, map[string][]byte{
		"alone":                []byte(zeros),
		"as arguments":         withSpec(`"config":{"args":` + zeros + `}`),
		"as an unknown field":  withSpec(`"unknown":` + zeros),
		"as the request":       []byte(`{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":` + zeros + `}`),
		"empty objects":        withSpec(`"config":{"args":[` + repeat("{}", 1<<20) + `]}`),
		"empty texts":          withSpec(`"config":{"args":[` + repeat(`""`, 1<<20) + `]}`),
		"pull secrets":         withSpec(`"imagePullSecrets":[` + repeat(`{"name":"a"}`, 200000) + `]`),
		"tolerations, no good": withSpec(`"scheduling":{"tolerations":[` + repeat(`{"operator":"x"}`, 200000) + `]}`),
	})
}

func TestNumbersThatNobodyCanHoldAreRefused(t *testing.T) {
	survive(t)
	bodies := map[string][]byte{}
	for _, number := range []string{
		"1e999", "-1e999", "1e-999", "9223372036854775808", "-9223372036854775809", "18446744073709551616", "1e18446744073709551616",
		"01", "+1", ".5", "1.", "1e", "0x10", "--1", "1_000", strings.Repeat("9", 1<<20), "0." + strings.Repeat("0", 1<<20) + "1",
	} {
		bodies[fmt.Sprintf("%.30s", number)] = withSpec(`"backoffLimit":` + number)
		bodies[fmt.Sprintf("a quantity of %.30s", number)] = withSpec(`"hardwareRequirements":{"gpuMemory":` + number + `.5}`)
	}
	expectRefusal(t, bodies)
}

func TestAReviewThatLacksItsPartsIsRefused(t *testing.T) {
	survive(t)
	const start = `{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview"`
	bodies := map[string][]byte{
		"no request":        []byte(start + `}`),
		"request null":      []byte(start + `,"request":null}`),
		"request empty":     []byte(start + `,"request":{}}`),
		"request a list":    []byte(start + `,"request":[]}`),
		"only a response":   []byte(start + `,"response":{"uid":"1","allowed":true}}`),
		"old version":       review("admission.k8s.io/v1", "admission.k8s.io/v1beta1"),
		"other kind":        review(`"AdmissionReview"`, `"ConversionReview"`),
		"no uid":            review(`"uid"`, `"uidd"`),
		"uid a number":      review(`"c8a3a5a0-0000-4000-8000-000000000001"`, `7`),
		"no kind":           review(`"kind":{`, `"kindd":{`),
		"kind a text":       review(`{"group":"hourglass.eigenlayer.io","version":"v1alpha1","kind":"Performer"}`, `"Performer"`),
		"unknown kind":      review(`"kind":"Performer"},`, `"kind":"Pod"},`),
		"unknown group":     review(`{"group":"hourglass.eigenlayer.io"`, `{"group":"apps"`),
		"unknown version":   review(`"version":"v1alpha1"`, `"version":"v9"`),
		"unknown operation": review(`"CREATE"`, `"APPROVE"`),
		"no operation":      review(`"operation"`, `"operationn"`),
		"operation a list":  review(`"CREATE"`, `["CREATE"]`),
		"no object":         review(`"object":{`, `"objectt":{`),
		"no old object":     review(`"CREATE"`, `"UPDATE"`),
		"object null":       review(`"dryRun":true`, `"dryRun":true,"oldObject":null`, `"object":{`, `"object":null,"was":{`),
		"object a text":     review(`"object":{`, `"object":"{}","was":{`),
		"old object a list": review(`"CREATE"`, `"UPDATE"`, `"dryRun":true`, `"oldObject":[]`),
	}
	expectRefusal(t, bodies)
	for name, body := range bodies {
		if a := ask(t, "/validate", body); !a.refused() {
			t.Errorf("/validate: %s: %v", name, a)
		}
	}
}

func TestAnObjectOfWrongTypesIsRefused(t *testing.T) {
	survive(t)
	bodies := map[string][]byte{}
	for _, value := range []string{"null", "true", "7", `"text"`, "[]", "[null]"} {
		bodies["spec "+value] = review(`"spec":{`, `"spec":`+value+`,"was":{`)
		bodies["avsAddress "+value] = review(`"avsAddress":"0x1"`, `"avsAddress":[`+value+`]`)
		if value != "null" && value != "[]" {
			bodies["resources "+value] = review(`"resources":{`, `"resources":`+value+`,"was":{`)
			bodies["limits "+value] = review(`"limits":{`, `"limits":`+value+`,"was":{`)
			bodies["labels "+value] = review(`"metadata":{`, `"metadata":{"labels":`+value+`,`)
			bodies["annotations "+value] = review(`"metadata":{`, `"metadata":{"annotations":`+value+`,`)
		}
	}
	expectRefusal(t, bodies)
	// The rest of the review is the apiserver's, and nobody depends on it.
	for _, change := range []string{`"userInfo":7`, `"userInfo":{"username":7}`, `"userInfo":null`, `"userInfo":[]`} {
		a := ask(t, "/mutate", review(`"userInfo":{"username":"alice"}`, change))
		if a.code != http.StatusOK && !a.refused() {
			t.Errorf("%s: %v", change, a)
		}
	}
}

func TestTheWorstObjectsGetAnAnswer(t *testing.T) {
	survive(t)
	// Large in every direction in which an answer could grow.
	long := strings.Repeat("x", 1<<20)
	bad := make([]string, 5000)
	for i := range bad {
		bad[i] = fmt.Sprintf(`"A=%d":7`, i)
	}
	expectRefusal(t, map[string][]byte{
		"a long name":            review(`{"name":"sample"`, `{"name":"`+long+`"`),
		"a long image":           review("registry.example/app:v1", long),
		"a long key":             withSpec(`"config":{"environment":{"` + long + `=":"x"}}`),
		"a long unsupported one": withSpec(`"upgradeStrategy":"` + long + `"`),
		"thousands of errors":    withSpec(`"config":{"environment":{` + strings.Join(bad, ",") + `}}`),
		"a long label":           review(`"metadata":{`, `"metadata":{"labels":{"`+long+`":"`+long+`"},`),
	})
	// Characters that an answer must escape.
	a := ask(t, "/mutate", review("registry.example/app:v1", `\" \\ \n \u001b[31m <b> \u2028`))
	if !a.refused() || !a.isJSON {
		t.Error(a)
	}
}

func TestRandomDamageNeverConfusesIt(t *testing.T) {
	survive(t)
	const seed, rounds = 20260131, 3000
	random := rand.New(rand.NewPCG(seed, seed))
	whole := withSpec(`"config":{"environment":{"A":"b"},"args":["c"]},"hardwareRequirements":{"gpuType":"nvidia-a100"}`)
	connection := dial(t)
	client := newClient(connection)
	counts := map[int]int{}
	for i := range rounds {
		body := append([]byte(nil), whole...)
		for range 1 + random.IntN(3) {
			at := random.IntN(len(body))
			switch random.IntN(4) {
			case 0:
				body[at] = byte(random.IntN(256))
			case 1:
				body = append(body[:at], body[at+1:]...)
			case 2:
				body = append(body[:at], append([]byte{`"{}[],:\0e-9`[random.IntN(12)]}, body[at:]...)...)
			case 3:
				to := at + random.IntN(len(body)-at)
				body = append(body[:at], body[to:]...)
			}
			if len(body) == 0 {
				body = []byte{' '}
			}
		}
		a, err := client.ask(body)
		if err != nil {
			t.Fatalf("seed %d, round %d: %v after %q", seed, i, err, body)
		}
		counts[a.code]++
		if !a.isJSON || (!a.allowed && !a.refused()) || !json.Valid(a.body) {
			t.Fatalf("seed %d, round %d: %v after %q", seed, i, a, body)
		}
	}
	measured(t, "%d damaged reviews: %v", rounds, counts)
}
