// Writes packages.
#include "attn/Package.h"
#include "attn/Version.h"
#include "runtime/core/AtomicFile.h"
#include "runtime/manifest/KernelManifest.h"
#include "runtime/package/PackageFormat.h"
#include "support/Hash.h"

#include <fmt/format.h>

#include <algorithm>

namespace attn {

using package::SectionKind;

namespace {

struct Section {
  SectionKind kind;
  std::uint32_t entry;
  std::span<const std::byte> contents;
};

} // namespace

static std::span<const std::byte> asBytes(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

Status Package::add(std::string_view manifestJson, std::string_view ptx, std::span<const std::byte> cubin) {
  std::string error;
  auto manifest = parseManifest(manifestJson, &error);
  if (!manifest)
    return {StatusCode::InvalidArgument, error};
  for (const PackageEntry &entry : list)
    if (entry.plan == manifest->name && entry.target == manifest->target)
      return {StatusCode::InvalidArgument,
              fmt::format("the package has plan `{}` for {} already", entry.plan, entry.target)};
  list.push_back({manifest->name, manifest->target, std::string(manifestJson), std::string(ptx),
                  std::vector<std::byte>(cubin.begin(), cubin.end())});
  return {};
}

std::vector<std::byte> Package::serialize() const {
  const std::string producer = producerText.empty() ? "attnc " ATTN_VERSION : producerText;
  std::vector<Section> sections;
  for (std::uint32_t i = 0; i < list.size(); ++i) {
    sections.push_back({SectionKind::Manifest, i, asBytes(list[i].manifestJson)});
    sections.push_back({SectionKind::Ptx, i, asBytes(list[i].ptx)});
    if (!list[i].cubin.empty())
      sections.push_back({SectionKind::Cubin, i, list[i].cubin});
  }
  sections.push_back({SectionKind::Source, 0, asBytes(sourceText)});
  sections.push_back({SectionKind::Producer, 0, asBytes(producer)});

  const std::size_t tableBytes = sections.size() * package::kTableRowBytes;
  std::vector<std::byte> out(package::kHeaderBytes + tableBytes);
  for (std::size_t i = 0; i < sections.size(); ++i) {
    const Section &section = sections[i];
    std::byte *row = &out[package::kHeaderBytes + i * package::kTableRowBytes];
    package::storeNumber(row, static_cast<std::uint32_t>(section.kind));
    package::storeNumber(row + 4, section.entry);
    package::storeNumber(row + 8, std::uint64_t{out.size()});
    package::storeNumber(row + 16, std::uint64_t{section.contents.size()});
    package::storeNumber(row + 24, checksum(section.contents));
    out.insert(out.end(), section.contents.begin(), section.contents.end());
    out.resize(package::aligned(out.size()));
  }
  std::copy_n(reinterpret_cast<const std::byte *>(package::kMagic.data()), package::kMagic.size(), out.begin());
  package::storeNumber(&out[8], package::kVersion);
  package::storeNumber(&out[12], static_cast<std::uint32_t>(sections.size()));
  package::storeNumber(&out[16], std::uint64_t{out.size()});
  package::storeNumber(&out[24], checksum(std::span(out).subspan(package::kHeaderBytes, tableBytes)));
  return out;
}

Status Package::write(const std::string &path) const { return runtime::writeFileAtomically(path, serialize()); }

} // namespace attn
