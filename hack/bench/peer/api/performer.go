package api

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Performer is a long-running gRPC service.
//
// +kubebuilder:object:root=true
type Performer struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitzero"`

	Spec   PerformerSpec   `json:"spec"`
	Status PerformerStatus `json:"status,omitzero"`
}

// PerformerSpec is what is wanted.
type PerformerSpec struct {
	AVSAddress           string                        `json:"avsAddress"`
	Image                string                        `json:"image"`
	ImagePullPolicy      corev1.PullPolicy             `json:"imagePullPolicy,omitempty"`
	Version              string                        `json:"version,omitempty"`
	ImagePullSecrets     []corev1.LocalObjectReference `json:"imagePullSecrets,omitempty"`
	Config               PerformerConfig               `json:"config,omitzero"`
	Resources            corev1.ResourceRequirements   `json:"resources,omitzero"`
	Scheduling           *Scheduling                   `json:"scheduling,omitempty"`
	HardwareRequirements *HardwareRequirements         `json:"hardwareRequirements,omitempty"`
	UpgradeStrategy      string                        `json:"upgradeStrategy,omitempty"`
	NodeFailurePolicy    string                        `json:"nodeFailurePolicy,omitempty"`
	BackoffLimit         *int32                        `json:"backoffLimit,omitempty"`
}

// PerformerConfig is what the container is started with.
type PerformerConfig struct {
	GRPCPort           int32             `json:"grpcPort,omitempty"`
	Environment        map[string]string `json:"environment,omitempty"`
	EnvironmentFrom    []EnvironmentFrom `json:"environmentFrom,omitempty"`
	Args               []string          `json:"args,omitempty"`
	Command            []string          `json:"command,omitempty"`
	ServiceAccountName string            `json:"serviceAccountName,omitempty"`
}

// EnvironmentFrom is a variable whose value comes from a Secret or a ConfigMap.
type EnvironmentFrom struct {
	Name      string               `json:"name"`
	ValueFrom *corev1.EnvVarSource `json:"valueFrom"`
}

// Scheduling is where the pod may run.
type Scheduling struct {
	NodeSelector      map[string]string   `json:"nodeSelector,omitempty"`
	Tolerations       []corev1.Toleration `json:"tolerations,omitempty"`
	Affinity          *corev1.Affinity    `json:"affinity,omitempty"`
	RuntimeClass      string              `json:"runtimeClass,omitempty"`
	PriorityClassName string              `json:"priorityClassName,omitempty"`
	Reservation       string              `json:"reservation,omitempty"`
	Packing           string              `json:"packing,omitempty"`
}

// HardwareRequirements are GPUs and trusted execution environments.
type HardwareRequirements struct {
	GPUType      string             `json:"gpuType,omitempty"`
	GPUCount     *int32             `json:"gpuCount,omitempty"`
	GPUMemory    *resource.Quantity `json:"gpuMemory,omitempty"`
	GPUShare     *int32             `json:"gpuShare,omitempty"`
	CUDAVersion  string             `json:"cudaVersion,omitempty"`
	TEERequired  bool               `json:"teeRequired,omitempty"`
	TEEType      string             `json:"teeType,omitempty"`
	CustomLabels map[string]string  `json:"customLabels,omitempty"`
}

// PerformerStatus is what is.
type PerformerStatus struct {
	Phase              string             `json:"phase,omitempty"`
	Stage              string             `json:"stage,omitempty"`
	Ready              bool               `json:"ready,omitempty"`
	PodName            string             `json:"podName,omitempty"`
	NodeName           string             `json:"nodeName,omitempty"`
	ServiceName        string             `json:"serviceName,omitempty"`
	GRPCEndpoint       string             `json:"grpcEndpoint,omitempty"`
	ObservedGeneration int64              `json:"observedGeneration,omitempty"`
	Retries            int32              `json:"retries,omitempty"`
	NextRetryTime      *metav1.Time       `json:"nextRetryTime,omitempty"`
	LastUpgrade        *metav1.Time       `json:"lastUpgrade,omitempty"`
	ReadyTime          *metav1.Time       `json:"readyTime,omitempty"`
	Conditions         []metav1.Condition `json:"conditions,omitempty"`
}
