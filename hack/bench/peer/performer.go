package main

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"callboard.dev/bench/peer/api"
)

type performerDefaulter struct{}

// Default implements admission.Defaulter.
func (performerDefaulter) Default(ctx context.Context, performer *api.Performer) error {
	spec := &performer.Spec
	setDefault(&spec.ImagePullPolicy, corev1.PullIfNotPresent)
	setDefault(&spec.Config.GRPCPort, 9090)
	setDefault(&spec.UpgradeStrategy, "Recreate")
	setDefault(&spec.NodeFailurePolicy, "Reschedule")
	hardware := spec.HardwareRequirements
	if hardware != nil && hardware.GPUShare == nil &&
		(hardware.GPUType != "" || hardware.GPUMemory != nil || hardware.CUDAVersion != "") {
		setPointer(&hardware.GPUCount, 1)
	}
	return defaultMetadata(ctx, performer, "hourglass.eigenlayer.io/performer-finalizer")
}

type performerValidator struct{}

// ValidateCreate implements admission.Validator.
func (performerValidator) ValidateCreate(_ context.Context, performer *api.Performer) (admission.Warnings, error) {
	return validatePerformer(performer)
}

// ValidateUpdate implements admission.Validator.
func (performerValidator) ValidateUpdate(_ context.Context, before, performer *api.Performer) (admission.Warnings, error) {
	if before.Spec.AVSAddress != performer.Spec.AVSAddress {
		return nil, invalid("hourglass.eigenlayer.io", "Performer", performer.Name, field.ErrorList{
			field.Forbidden(field.NewPath("spec", "avsAddress"), "is immutable"),
		})
	}
	return validatePerformer(performer)
}

// ValidateDelete implements admission.Validator.
func (performerValidator) ValidateDelete(context.Context, *api.Performer) (admission.Warnings, error) {
	return nil, nil
}

func validatePerformer(performer *api.Performer) (admission.Warnings, error) {
	spec, path := &performer.Spec, field.NewPath("spec")
	var errors field.ErrorList
	if spec.AVSAddress == "" {
		errors = append(errors, field.Required(path.Child("avsAddress"), ""))
	}
	if spec.Image == "" {
		errors = append(errors, field.Required(path.Child("image"), ""))
	}
	if port := spec.Config.GRPCPort; port < 0 || port > 65535 {
		errors = append(errors, field.Invalid(path.Child("config", "grpcPort"), port, "must be 1 to 65535"))
	}
	if spec.HardwareRequirements != nil {
		errors = append(errors, validateHardware(spec.HardwareRequirements, path.Child("hardwareRequirements"))...)
	}
	var warnings admission.Warnings
	if spec.Resources.Limits.Memory().IsZero() {
		warnings = append(warnings, "spec.resources.limits: sets no memory limit")
	}
	return warnings, invalid("hourglass.eigenlayer.io", "Performer", performer.Name, errors)
}

func validateHardware(hardware *api.HardwareRequirements, path *field.Path) field.ErrorList {
	var errors field.ErrorList
	if hardware.GPUShare != nil && hardware.GPUCount != nil && *hardware.GPUCount > 1 {
		errors = append(errors, field.Forbidden(path.Child("gpuShare"), "a share is of one GPU"))
	}
	if hardware.TEERequired && hardware.TEEType == "" {
		errors = append(errors, field.Required(path.Child("teeType"), "teeRequired is true"))
	}
	return errors
}

// invalid is nil without errors.
func invalid(group, kind, name string, errors field.ErrorList) error {
	if len(errors) == 0 {
		return nil
	}
	return apierrors.NewInvalid(schema.GroupKind{Group: group, Kind: kind}, name, errors)
}
