package api

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// JobFlow is a graph of steps.
//
// +kubebuilder:object:root=true
type JobFlow struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitzero"`

	Spec   JobFlowSpec   `json:"spec"`
	Status JobFlowStatus `json:"status,omitzero"`
}

// JobFlowSpec is what is wanted.
type JobFlowSpec struct {
	ExecutionPolicy   ExecutionPolicy    `json:"executionPolicy,omitzero"`
	ResourceTemplates *ResourceTemplates `json:"resourceTemplates,omitempty"`
	Steps             []Step             `json:"steps,omitempty"`
	Finally           []Step             `json:"finally,omitempty"`
	Parameters        []Parameter        `json:"parameters,omitempty"`
	TemplateRef       *TemplateRef       `json:"templateRef,omitempty"`
}

// ExecutionPolicy is how the flow runs as a whole.
type ExecutionPolicy struct {
	ConcurrencyPolicy       string            `json:"concurrencyPolicy,omitempty"`
	ConcurrencyGroup        string            `json:"concurrencyGroup,omitempty"`
	TTLSecondsAfterFinished *int32            `json:"ttlSecondsAfterFinished,omitempty"`
	BackoffLimit            *int32            `json:"backoffLimit,omitempty"`
	ActiveDeadlineSeconds   *int64            `json:"activeDeadlineSeconds,omitempty"`
	PodFailurePolicy        *PodFailurePolicy `json:"podFailurePolicy,omitempty"`
	Priority                string            `json:"priority,omitempty"`
	Parallelism             *int32            `json:"parallelism,omitempty"`
	Suspend                 bool              `json:"suspend,omitempty"`
	SuspendMode             string            `json:"suspendMode,omitempty"`
}

// PodFailurePolicy says what the exit codes of failed pods mean.
type PodFailurePolicy struct {
	Rules []PodFailureRule `json:"rules"`
}

// PodFailureRule is one rule of it.
type PodFailureRule struct {
	Action      string      `json:"action"`
	OnExitCodes OnExitCodes `json:"onExitCodes"`
}

// OnExitCodes are the exit codes that a rule is about.
type OnExitCodes struct {
	ContainerName string  `json:"containerName,omitempty"`
	Operator      string  `json:"operator"`
	Values        []int32 `json:"values"`
}

// ResourceTemplates are objects that are made before the first step.
type ResourceTemplates struct {
	VolumeClaimTemplates []corev1.PersistentVolumeClaim `json:"volumeClaimTemplates,omitempty"`
	ConfigMapTemplates   []corev1.ConfigMap             `json:"configMapTemplates,omitempty"`
}

// Step is a Job, an approval or a Performer. The template stays as it came, as in the project whose API
// this is, until somebody needs the Job.
type Step struct {
	Name              string               `json:"name"`
	Type              string               `json:"type,omitempty"`
	Message           string               `json:"message,omitempty"`
	Metadata          *StepMetadata        `json:"metadata,omitempty"`
	Dependencies      []string             `json:"dependencies,omitempty"`
	RetryPolicy       *RetryPolicy         `json:"retryPolicy,omitempty"`
	TimeoutSeconds    *int64               `json:"timeoutSeconds,omitempty"`
	When              string               `json:"when,omitempty"`
	ContinueOnFailure bool                 `json:"continueOnFailure,omitempty"`
	Template          runtime.RawExtension `json:"template,omitzero"`
	Inputs            *StepInputs          `json:"inputs,omitempty"`
	Outputs           *StepOutputs         `json:"outputs,omitempty"`
}

// StepMetadata are the labels and annotations of what a step makes.
type StepMetadata struct {
	Labels      map[string]string `json:"labels,omitempty"`
	Annotations map[string]string `json:"annotations,omitempty"`
}

// RetryPolicy says whether and when a failed step is tried again.
type RetryPolicy struct {
	Limit   *int32   `json:"limit,omitempty"`
	Backoff *Backoff `json:"backoff,omitempty"`
}

// Backoff is how long to wait before.
type Backoff struct {
	Type     string   `json:"type,omitempty"`
	Factor   *float64 `json:"factor,omitempty"`
	Duration string   `json:"duration,omitempty"`
}

// StepInputs is what a step gets.
type StepInputs struct {
	Artifacts  []InputArtifact  `json:"artifacts,omitempty"`
	Parameters []InputParameter `json:"parameters,omitempty"`
}

// InputArtifact is a file that is fetched.
type InputArtifact struct {
	Name string      `json:"name"`
	Path string      `json:"path"`
	From string      `json:"from,omitempty"`
	HTTP *HTTPSource `json:"http,omitempty"`
}

// HTTPSource is a download.
type HTTPSource struct {
	URL     string            `json:"url"`
	Headers map[string]string `json:"headers,omitempty"`
}

// InputParameter is a value that a step gets.
type InputParameter struct {
	Name      string       `json:"name"`
	Value     string       `json:"value,omitempty"`
	ValueFrom *InputSource `json:"valueFrom,omitempty"`
}

// InputSource is where such a value comes from.
type InputSource struct {
	JSONPath        string                       `json:"jsonPath,omitempty"`
	ConfigMapKeyRef *corev1.ConfigMapKeySelector `json:"configMapKeyRef,omitempty"`
	SecretKeyRef    *corev1.SecretKeySelector    `json:"secretKeyRef,omitempty"`
}

// StepOutputs is what a step gives.
type StepOutputs struct {
	Artifacts  []OutputArtifact  `json:"artifacts,omitempty"`
	Parameters []OutputParameter `json:"parameters,omitempty"`
}

// OutputArtifact is a file that is kept.
type OutputArtifact struct {
	Name     string   `json:"name"`
	Path     string   `json:"path"`
	Optional bool     `json:"optional,omitempty"`
	Archive  *Archive `json:"archive,omitempty"`
	S3       *S3      `json:"s3,omitempty"`
}

// Archive is how it is packed.
type Archive struct {
	Format      string `json:"format,omitempty"`
	Compression string `json:"compression,omitempty"`
}

// S3 is a store to which it is sent.
type S3 struct {
	Endpoint                 string                    `json:"endpoint"`
	Bucket                   string                    `json:"bucket"`
	Key                      string                    `json:"key"`
	AccessKeyIDSecretRef     *corev1.SecretKeySelector `json:"accessKeyIDSecretRef,omitempty"`
	SecretAccessKeySecretRef *corev1.SecretKeySelector `json:"secretAccessKeySecretRef,omitempty"`
}

// OutputParameter is a value that later steps can use.
type OutputParameter struct {
	Name      string       `json:"name"`
	ValueFrom OutputSource `json:"valueFrom"`
}

// OutputSource is where such a value comes from.
type OutputSource struct {
	JSONPath string `json:"jsonPath"`
}

// Parameter is a value of the whole flow.
type Parameter struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// TemplateRef names a JobFlowTemplate.
type TemplateRef struct {
	Name string `json:"name"`
}

// JobFlowStatus is what is.
type JobFlowStatus struct {
	Phase                   string                   `json:"phase,omitempty"`
	Conditions              []metav1.Condition       `json:"conditions,omitempty"`
	ObservedGeneration      int64                    `json:"observedGeneration,omitempty"`
	StartTime               *metav1.Time             `json:"startTime,omitempty"`
	CompletionTime          *metav1.Time             `json:"completionTime,omitempty"`
	EstimatedCompletionTime *metav1.Time             `json:"estimatedCompletionTime,omitempty"`
	Steps                   []StepStatus             `json:"steps,omitempty"`
	ResourceRefs            []corev1.ObjectReference `json:"resourceRefs,omitempty"`
	Progress                *Progress                `json:"progress,omitempty"`
	Audit                   *Audit                   `json:"audit,omitempty"`
}

// StepStatus is where a step is.
type StepStatus struct {
	Name           string                  `json:"name"`
	Phase          string                  `json:"phase,omitempty"`
	Reason         string                  `json:"reason,omitempty"`
	Message        string                  `json:"message,omitempty"`
	StartTime      *metav1.Time            `json:"startTime,omitempty"`
	CompletionTime *metav1.Time            `json:"completionTime,omitempty"`
	JobRef         *corev1.ObjectReference `json:"jobRef,omitempty"`
	Outputs        map[string]string       `json:"outputs,omitempty"`
	RetryCount     int32                   `json:"retryCount,omitempty"`
	NextRetryTime  *metav1.Time            `json:"nextRetryTime,omitempty"`
	ApprovedBy     string                  `json:"approvedBy,omitempty"`
}

// Progress counts steps.
type Progress struct {
	CompletedSteps  int32 `json:"completedSteps,omitempty"`
	TotalSteps      int32 `json:"totalSteps,omitempty"`
	SuccessfulSteps int32 `json:"successfulSteps,omitempty"`
	FailedSteps     int32 `json:"failedSteps,omitempty"`
}

// Audit says who started the flow.
type Audit struct {
	InitiatedBy   *Initiator `json:"initiatedBy,omitempty"`
	CorrelationID string     `json:"correlationID,omitempty"`
}

// Initiator is a user.
type Initiator struct {
	User string `json:"user,omitempty"`
	Type string `json:"type,omitempty"`
}
