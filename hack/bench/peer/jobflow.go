package main

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"callboard.dev/bench/peer/api"
)

type jobFlowDefaulter struct{}

// Default implements admission.Defaulter.
func (jobFlowDefaulter) Default(ctx context.Context, flow *api.JobFlow) error {
	policy := &flow.Spec.ExecutionPolicy
	setDefault(&policy.ConcurrencyPolicy, "Forbid")
	setPointer(&policy.TTLSecondsAfterFinished, 86400)
	setPointer(&policy.BackoffLimit, 6)
	setDefault(&policy.Priority, "normal")
	for _, steps := range [][]api.Step{flow.Spec.Steps, flow.Spec.Finally} {
		for i := range steps {
			defaultStep(&steps[i])
		}
	}
	return defaultMetadata(ctx, flow, "")
}

func defaultStep(step *api.Step) {
	setDefault(&step.Type, "Job")
	if retry := step.RetryPolicy; retry != nil {
		setPointer(&retry.Limit, 3)
		if retry.Backoff != nil {
			setDefault(&retry.Backoff.Type, "Exponential")
			setPointer(&retry.Backoff.Factor, 2)
		}
	}
	if step.Outputs == nil {
		return
	}
	for i := range step.Outputs.Artifacts {
		if archive := step.Outputs.Artifacts[i].Archive; archive != nil {
			setDefault(&archive.Format, "tar")
			setDefault(&archive.Compression, "gzip")
		}
	}
}

type jobFlowValidator struct{}

// ValidateCreate implements admission.Validator.
func (jobFlowValidator) ValidateCreate(_ context.Context, flow *api.JobFlow) (admission.Warnings, error) {
	return nil, validateFlow(flow)
}

// ValidateUpdate implements admission.Validator.
func (jobFlowValidator) ValidateUpdate(_ context.Context, _, flow *api.JobFlow) (admission.Warnings, error) {
	return nil, validateFlow(flow)
}

// ValidateDelete implements admission.Validator.
func (jobFlowValidator) ValidateDelete(context.Context, *api.JobFlow) (admission.Warnings, error) {
	return nil, nil
}

func validateFlow(flow *api.JobFlow) error {
	path := field.NewPath("spec", "steps")
	var errors field.ErrorList
	if len(flow.Spec.Steps) == 0 {
		errors = append(errors, field.Required(path, "a flow needs at least one step"))
	}
	errors = append(errors, validateSteps(flow.Spec.Steps, path)...)
	errors = append(errors, validateSteps(flow.Spec.Finally, field.NewPath("spec", "finally"))...)
	return invalid("workflow.kube-zen.io", "JobFlow", flow.Name, errors)
}

// validateSteps checks names, templates and the graph.
func validateSteps(steps []api.Step, path *field.Path) field.ErrorList {
	var errors field.ErrorList
	index := make(map[string]int, len(steps))
	for i := range steps {
		step := &steps[i]
		if _, found := index[step.Name]; found || step.Name == "" {
			errors = append(errors, field.Duplicate(path.Index(i).Child("name"), step.Name))
			continue
		}
		index[step.Name] = i
		if step.Type == "" || step.Type == "Job" {
			errors = append(errors, validateTemplate(step.Template.Raw, path.Index(i).Child("template"))...)
		}
	}
	before := make([][]int, len(steps))
	for i := range steps {
		before[i] = make([]int, 0, len(steps[i].Dependencies))
		for j, name := range steps[i].Dependencies {
			if dependency, found := index[name]; found {
				before[i] = append(before[i], dependency)
			} else {
				errors = append(errors, field.NotFound(path.Index(i).Child("dependencies").Index(j), name))
			}
		}
	}
	if cycle := findCycle(before); cycle != nil {
		names := make([]string, 0, len(cycle)+1)
		for _, i := range cycle {
			names = append(names, steps[i].Name)
		}
		names = append(names, names[0])
		errors = append(errors, field.Invalid(path, steps[cycle[0]].Name, fmt.Sprintf("cycle: %s", strings.Join(names, " → "))))
	}
	return errors
}

// validateTemplate checks the Job that a step makes for what the apiserver would refuse later.
func validateTemplate(raw []byte, path *field.Path) field.ErrorList {
	if len(raw) == 0 {
		return field.ErrorList{field.Required(path, "")}
	}
	var job batchv1.Job
	if err := json.Unmarshal(raw, &job); err != nil {
		return field.ErrorList{field.Invalid(path, "", err.Error())}
	}
	var errors field.ErrorList
	pod, path := &job.Spec.Template.Spec, path.Child("spec", "template", "spec")
	if len(pod.Containers) == 0 {
		errors = append(errors, field.Required(path.Child("containers"), ""))
	}
	for i := range pod.Containers {
		at := path.Child("containers").Index(i)
		if pod.Containers[i].Name == "" {
			errors = append(errors, field.Required(at.Child("name"), ""))
		}
		if pod.Containers[i].Image == "" {
			errors = append(errors, field.Required(at.Child("image"), ""))
		}
	}
	if policy := pod.RestartPolicy; policy != corev1.RestartPolicyNever && policy != corev1.RestartPolicyOnFailure {
		errors = append(errors, field.NotSupported(path.Child("restartPolicy"), policy,
			[]corev1.RestartPolicy{corev1.RestartPolicyNever, corev1.RestartPolicyOnFailure}))
	}
	return errors
}

// findCycle returns a cycle of the graph, or nil: a depth-first search, in time linear in its edges.
func findCycle(before [][]int) []int {
	const (
		unseen = iota
		open
		done
	)
	state := make([]uint8, len(before))
	var stack []int
	var visit func(int) []int
	visit = func(i int) []int {
		state[i] = open
		stack = append(stack, i)
		for _, next := range before[i] {
			if state[next] == open {
				return slices.Clone(stack[slices.Index(stack, next):])
			}
			if state[next] == unseen {
				if cycle := visit(next); cycle != nil {
					return cycle
				}
			}
		}
		stack = stack[:len(stack)-1]
		state[i] = done
		return nil
	}
	for i := range before {
		if state[i] == unseen {
			if cycle := visit(i); cycle != nil {
				return cycle
			}
		}
	}
	return nil
}
