package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"strings"

	jsonpatch "gopkg.in/evanphx/json-patch.v4"
	admissionv1 "k8s.io/api/admission/v1"

	"callboard.dev/bench/program"
)

// ask sends one review and returns the response in the answer.
func ask(s *program.Server, phase string, p *payload) (*admissionv1.AdmissionResponse, error) {
	connection, err := s.Dial()
	if err != nil {
		return nil, err
	}
	defer connection.Close()
	if _, err := connection.Write(p.request(s, phase)); err != nil {
		return nil, err
	}
	answer, err := http.ReadResponse(bufio.NewReader(connection), nil)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		return nil, err
	}
	var review admissionv1.AdmissionReview
	if err := json.Unmarshal(body, &review); err != nil {
		return nil, fmt.Errorf("status %d: %w", answer.StatusCode, err)
	}
	if answer.StatusCode != http.StatusOK || review.Response == nil {
		return nil, fmt.Errorf("status %d: %s", answer.StatusCode, body)
	}
	return review.Response, nil
}

// mutated is the object as the patch of /mutate leaves it.
func mutated(s *program.Server, p *payload) (any, error) {
	response, err := ask(s, "mutate", p)
	if err != nil {
		return nil, err
	}
	if !response.Allowed || len(response.Patch) == 0 {
		return nil, fmt.Errorf("must be allowed with a patch: %+v", response)
	}
	patch, err := jsonpatch.DecodePatch(response.Patch)
	if err != nil {
		return nil, err
	}
	text, err := patch.Apply(p.object)
	if err != nil {
		return nil, err
	}
	var result any
	return result, json.Unmarshal(text, &result)
}

// checkAccepted asks both servers; they must make the same object.
func checkAccepted(servers []*program.Server, p *payload) error {
	var results []any
	for _, s := range servers {
		result, err := mutated(s, p)
		if err != nil {
			return fmt.Errorf("%s, mutate %s: %w", s.Name, p.name, err)
		}
		results = append(results, result)
		response, err := ask(s, "validate", p)
		if err == nil && !response.Allowed {
			err = fmt.Errorf("must be allowed: %+v", response.Result)
		}
		if err != nil {
			return fmt.Errorf("%s, validate %s: %w", s.Name, p.name, err)
		}
	}
	if !reflect.DeepEqual(results[0], results[1]) {
		return fmt.Errorf("%s: the two objects differ:\n%s\n%s", p.name, mustMarshal(results[0]), mustMarshal(results[1]))
	}
	return nil
}

// checkRefused asks both servers, who must give the reason.
func checkRefused(servers []*program.Server, p *payload, reason string) error {
	for _, s := range servers {
		response, err := ask(s, "validate", p)
		if err != nil {
			return fmt.Errorf("%s, validate %s: %w", s.Name, p.name, err)
		}
		if response.Allowed || response.Result == nil || response.Result.Code != http.StatusUnprocessableEntity ||
			!strings.Contains(response.Result.Message, reason) {
			return fmt.Errorf("%s must refuse %s for \"%s\": %s", s.Name, p.name, reason, mustMarshal(response))
		}
	}
	return nil
}

// checkAnswers proves that both do the same work.
func checkAnswers(servers ...*program.Server) error {
	for _, p := range payloads() {
		if err := checkAccepted(servers, p); err != nil {
			return err
		}
	}
	if err := checkRefused(servers, imagelessPerformer(), "spec.image"); err != nil {
		return err
	}
	return checkRefused(servers, cyclicFlow(), "cycle: ")
}

// isAllowed looks at an answer under load, whose other parts were looked at before.
func isAllowed(answer []byte) bool {
	return bytes.Contains(answer, []byte(`"allowed":true`))
}
