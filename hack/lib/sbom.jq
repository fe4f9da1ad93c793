# The SBOM of the image in SPDX 2.3. $files has a line PATH SHA1 SHA256 PACKAGE per file, $packages a line
# NAME VERSION ARCHITECTURE SOURCE SOURCE-VERSION MAINTAINER per Debian package, separated by tabs;
# $digest is of $files, so that another image has another namespace, and $verification the code over all
# files that SPDX defines (7.9). hack/image-files calls it.
#
# The image is the one package whose files are listed: of Debian's it has some files only, which are tied to
# them by a relationship of their own.

def rows: split("\n") | map(select(. != "") | split("\t"));
def id: "SPDXRef-" + gsub("[^A-Za-z0-9.-]"; "-");

# https://github.com/package-url/purl-spec: scanners look the vulnerabilities of Debian up by the source
# package, which is named where it is another one.
def purl($name; $version; $architecture; $source; $source_version):
  "pkg:deb/debian/\($name)@\($version | @uri)?arch=\($architecture)&distro=\($distribution)"
  + if $source == $name and $source_version == $version then ""
    else "&upstream=\($source | @uri)%40\($source_version | @uri)" end;

def debian_package:
  . as [$name, $version, $architecture, $source, $source_version, $maintainer]
  | {
      SPDXID: ("package-" + $name | id), name: $name, versionInfo: $version,
      supplier: "Person: \($maintainer | gsub(" <(?<mail>[^>]*)>$"; " (\(.mail))"))",
      downloadLocation: "NOASSERTION", filesAnalyzed: false,
      licenseConcluded: "NOASSERTION", licenseDeclared: "NOASSERTION",
      licenseComments: "The image has them in /usr/share/doc/\($name)/copyright.",
      copyrightText: "NOASSERTION",
      externalRefs: [{
        referenceCategory: "PACKAGE-MANAGER", referenceType: "purl",
        referenceLocator: purl($name; $version; $architecture; $source; $source_version)
      }]
    };

def callboard:
  {
    SPDXID: "SPDXRef-package-callboard", name: "callboard", versionInfo: $version,
    primaryPackagePurpose: "CONTAINER", supplier: "NOASSERTION", downloadLocation: "NOASSERTION",
    filesAnalyzed: true, licenseConcluded: "NOASSERTION", licenseDeclared: "NOASSERTION",
    licenseInfoFromFiles: ["NOASSERTION"],
    licenseComments: "Apache-2.0 for the programs; that of the others is with each package.",
    packageVerificationCode: {
      packageVerificationCodeValue: $verification, packageVerificationCodeExcludedFiles: [$self]
    },
    copyrightText: "NOASSERTION",
    externalRefs: [{
      referenceCategory: "PACKAGE-MANAGER", referenceType: "purl",
      referenceLocator: "pkg:generic/callboard@\($version)"
    }]
  };

def file:
  . as [$path, $sha1, $sha256]
  | {
      SPDXID: ("file-" + $path | id), fileName: "./\($path)",
      checksums: [
        {algorithm: "SHA1", checksumValue: $sha1}, {algorithm: "SHA256", checksumValue: $sha256}
      ],
      licenseConcluded: "NOASSERTION", licenseInfoInFiles: ["NOASSERTION"], copyrightText: "NOASSERTION"
    };

def relationship($from; $type; $to):
  {spdxElementId: $from, relationshipType: $type, relatedSpdxElement: $to};

($files | rows) as $file_rows | ($packages | rows) as $package_rows
| {
    spdxVersion: "SPDX-2.3", dataLicense: "CC0-1.0", SPDXID: "SPDXRef-DOCUMENT",
    name: "callboard-\($version)",
    documentNamespace: "https://callboard.dev/spdx/callboard-\($version)-\($digest)",
    creationInfo: {created: $created, creators: ["Tool: hack/image-files-\($version)"]},
    packages: ([callboard] + ($package_rows | map(debian_package))),
    files: ($file_rows | map(file)),
    relationships: (
      [relationship("SPDXRef-DOCUMENT"; "DESCRIBES"; "SPDXRef-package-callboard")]
      + ($package_rows | map(relationship("SPDXRef-package-callboard"; "CONTAINS"; "package-" + .[0] | id)))
      + ($file_rows | map(
          relationship("SPDXRef-package-callboard"; "CONTAINS"; "file-" + .[0] | id),
          (select(.[3] != "callboard")
            | relationship("file-" + .[0] | id; "OTHER"; "package-" + .[3] | id)
            | .comment = "a file of this Debian package")))
    )
  }
