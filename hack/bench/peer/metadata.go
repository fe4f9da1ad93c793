package main

import (
	"context"
	"slices"

	admissionv1 "k8s.io/api/admission/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"
)

const (
	initiatedBy   = "callboard.dev/initiated-by"
	correlationID = "callboard.dev/correlation-id"
)

// defaultMetadata writes who creates the object and under which id it is logged, and a finalizer.
func defaultMetadata(ctx context.Context, object metav1.Object, finalizer string) error {
	request, err := admission.RequestFromContext(ctx)
	if err != nil {
		return err
	}
	if request.Operation != admissionv1.Create {
		return nil
	}
	annotations := object.GetAnnotations()
	if annotations == nil {
		annotations = map[string]string{}
	}
	annotations[initiatedBy] = request.UserInfo.Username
	annotations[correlationID] = string(request.UID)
	object.SetAnnotations(annotations)
	if finalizers := object.GetFinalizers(); finalizer != "" && !slices.Contains(finalizers, finalizer) {
		object.SetFinalizers(append(finalizers, finalizer))
	}
	return nil
}

// setDefault gives a field its default when it is absent.
func setDefault[T comparable](field *T, value T) {
	var absent T
	if *field == absent {
		*field = value
	}
}

// setPointer does so for a field whose zero value means something.
func setPointer[T any](field **T, value T) {
	if *field == nil {
		*field = &value
	}
}
