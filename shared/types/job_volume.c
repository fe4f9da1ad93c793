/* Schema rows of a pod's volumes (k8s.io/api/core/v1 Volume; core/validation validateVolumeSource). */
#include "types/job_parts.h"

#include "types/pod.h"

#define NEEDED(field, words)                                                            \
    {                                                                                   \
        .name = (field), .type = SCHEMA_STRING, .flags = SCHEMA_REQUIRED, .min_len = 1, \
        .text = (words),                                                                \
    }
#define MODE(field) INTEGER_FROM(field, 0, 0777)

static void check_item(const struct schema *schema, const struct json *value,
                       const struct path *path, struct err_list *errors)
{
    (void)schema;
    job_check_relative(value, "path", path, errors);
}

static const struct schema key_fields[] = {
    {.name = "key",
     .type = SCHEMA_STRING,
     .flags = SCHEMA_REQUIRED,
     .min_len = 1,
     .text = "The key of the ConfigMap or Secret."},
    NEEDED("path", "The file that is made of it."),
    MODE("mode"),
    {0},
};
static const struct schema key_item = {
    .type = SCHEMA_OBJECT,
    .fields = key_fields,
    .check = check_item,
};

#define KEYS                                                                     \
    {                                                                            \
        .name = "items", .type = SCHEMA_LIST, .item = &key_item, .text = "Keys." \
    }

static const struct schema config_map_fields[] = {
    NEEDED("name", "The name of the ConfigMap."), KEYS, MODE("defaultMode"),
    KNOWN_OF("optional", SCHEMA_BOOLEAN),         {0},
};

static const struct schema secret_fields[] = {
    NEEDED("secretName", "The name of the Secret."),
    KEYS,
    MODE("defaultMode"),
    KNOWN_OF("optional", SCHEMA_BOOLEAN),
    {0},
};

static const struct schema claim_fields[] = {
    NEEDED("claimName", "The name of the PersistentVolumeClaim."),
    KNOWN_OF("readOnly", SCHEMA_BOOLEAN),
    {0},
};

static const char *const media[] = {"",  "Memory", "HugePages", "HugePages-2Mi", "HugePages-1Gi",
                                    NULL};
static const struct schema empty_dir_fields[] = {
    CHOICE("medium", media),
    KNOWN_OF("sizeLimit", SCHEMA_QUANTITY),
    {0},
};

static const char *const host_path_types[] = {
    "",           "DirectoryOrCreate", "Directory", "FileOrCreate", "File", "Socket",
    "CharDevice", "BlockDevice",       NULL};
static const struct schema host_path_fields[] = {
    NEEDED("path", "The path on the node."),
    CHOICE("type", host_path_types),
    {0},
};

static const struct schema nfs_fields[] = {
    NEEDED("server", "The server."),
    NEEDED("path", "The path on the server."),
    KNOWN_OF("readOnly", SCHEMA_BOOLEAN),
    {0},
};

static const struct schema csi_fields[] = {
    NEEDED("driver", "The driver."), KNOWN_OF("readOnly", SCHEMA_BOOLEAN), KNOWN("fsType"),
    KNOWN("volumeAttributes"),       KNOWN("nodePublishSecretRef"),        {0},
};

static const struct schema downward_file_fields[] = {
    NEEDED("path", "The file that is made of it."),
    {.name = "fieldRef",
     .type = SCHEMA_OBJECT,
     .fields = job_field_reference_fields,
     .text = "A field of the pod."},
    {.name = "resourceFieldRef",
     .type = SCHEMA_OBJECT,
     .fields = job_resource_field_fields,
     .text = "A resource of a container."},
    MODE("mode"),
    {0},
};
static const struct schema downward_file_item = {
    .type = SCHEMA_OBJECT,
    .fields = downward_file_fields,
    .check = check_item,
};
static const struct schema downward_fields[] = {
    {.name = "items", .type = SCHEMA_LIST, .item = &downward_file_item, .text = "Files."},
    MODE("defaultMode"),
    {0},
};

static const struct schema projected_fields[] = {
    KNOWN_OF("sources", SCHEMA_ANY),
    MODE("defaultMode"),
    {0},
};

#define SOURCE(field, source_fields)                                                           \
    {                                                                                          \
        .name = (field), .type = SCHEMA_OBJECT, .fields = (source_fields), .text = "A source." \
    }

static const struct schema volume_fields[] = {
    {.name = "name",
     .type = SCHEMA_STRING,
     .flags = SCHEMA_REQUIRED,
     .format = FORMAT_DNS_LABEL,
     .text = "The name of the volume."},
    SOURCE("configMap", config_map_fields),
    SOURCE("secret", secret_fields),
    SOURCE("persistentVolumeClaim", claim_fields),
    SOURCE("emptyDir", empty_dir_fields),
    SOURCE("hostPath", host_path_fields),
    SOURCE("nfs", nfs_fields),
    SOURCE("csi", csi_fields),
    SOURCE("downwardAPI", downward_fields),
    SOURCE("projected", projected_fields),
    KNOWN("ephemeral"),
    KNOWN("image"),
    KNOWN("awsElasticBlockStore"),
    KNOWN("azureDisk"),
    KNOWN("azureFile"),
    KNOWN("cephfs"),
    KNOWN("cinder"),
    KNOWN("fc"),
    KNOWN("flexVolume"),
    KNOWN("flocker"),
    KNOWN("gcePersistentDisk"),
    KNOWN("gitRepo"),
    KNOWN("glusterfs"),
    KNOWN("iscsi"),
    KNOWN("photonPersistentDisk"),
    KNOWN("portworxVolume"),
    KNOWN("quobyte"),
    KNOWN("rbd"),
    KNOWN("scaleIO"),
    KNOWN("storageos"),
    KNOWN("vsphereVolume"),
    {0},
};

/* Also of a kind that is not known here. */
static void check_volume(const struct schema *schema, const struct json *value,
                         const struct path *path, struct err_list *errors)
{
    (void)schema;
    static const char *const others[] = {"name", NULL};
    if (job_count_set(value, others) > 1)
        err_list_add(errors, path, value->line, ERR_FORBIDDEN,
                     "Forbidden: a volume has one source; remove the others");
}

const struct schema job_volume_item = {
    .type = SCHEMA_OBJECT,
    .fields = volume_fields,
    .check = check_volume,
};
