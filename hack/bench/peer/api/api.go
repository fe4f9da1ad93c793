// Package api has the kinds as a Go project declares them: structs, from which controller-gen makes the
// copy functions. The peer of the benchmark decodes into them.
//
// +kubebuilder:object:generate=true
package api

import (
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

//go:generate go run sigs.k8s.io/controller-tools/cmd/controller-gen@v0.21.0 object paths=.

// AddToScheme makes the kinds known.
func AddToScheme(scheme *runtime.Scheme) {
	scheme.AddKnownTypes(schema.GroupVersion{Group: "hourglass.eigenlayer.io", Version: "v1alpha1"}, &Performer{})
	scheme.AddKnownTypes(schema.GroupVersion{Group: "workflow.kube-zen.io", Version: "v1alpha1"}, &JobFlow{})
}
