// safetensors: an 8-byte little-endian header length, a JSON header {name: {dtype, shape, data_offsets}}, then the data.
// Format: huggingface/safetensors README, "Format".
#include "tools/attnc/TensorFile.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <cstring>

namespace attn::tools {

namespace {
struct SafetensorsType {
  std::string_view name;
  ElementType type;
};
} // namespace

static constexpr SafetensorsType kTypes[] = {
    {"F64", ElementType::F64}, {"F32", ElementType::F32},     {"BF16", ElementType::BF16},   {"F16", ElementType::F16},
    {"I32", ElementType::I32}, {"F8_E4M3", ElementType::E4M3}, {"F8_E5M2", ElementType::E5M2}, {"I16", ElementType::I16},
    {"I8", ElementType::I8},   {"BOOL", ElementType::Bool},
};

static Status malformed(std::string_view what) {
  return Status(StatusCode::InvalidArgument, fmt::format("not a readable .safetensors file: {}", what));
}

static Result<HostTensor> parseEntry(const std::string &name, const nlohmann::json &entry, std::string_view data) {
  auto bad = [&](std::string_view what) { return malformed(fmt::format("tensor `{}`: {}", name, what)); };
  if (!entry.is_object() || !entry.contains("dtype") || !entry["dtype"].is_string() || !entry.contains("shape") ||
      !entry["shape"].is_array() || !entry.contains("data_offsets") || !entry["data_offsets"].is_array() ||
      entry["data_offsets"].size() != 2)
    return bad("its header entry lacks dtype, shape or data_offsets");
  std::string dtype = entry["dtype"];
  HostTensor tensor;
  bool known = false;
  for (const SafetensorsType &row : kTypes)
    if (row.name == dtype) {
      tensor.type = row.type;
      known = true;
    }
  if (!known)
    return bad(fmt::format("dtype `{}` is not supported", dtype));
  std::uint64_t count = 1;
  for (const nlohmann::json &dim : entry["shape"]) {
    if (!dim.is_number_unsigned() || dim.get<std::uint64_t>() > (1ull << 40))
      return bad("a dimension is not a size");
    tensor.shape.push_back(static_cast<std::int64_t>(dim.get<std::uint64_t>()));
    if (dim.get<std::uint64_t>() && count > (1ull << 60) / dim.get<std::uint64_t>())
      return bad("its shape is too large");
    count *= dim.get<std::uint64_t>();
  }
  if (!entry["data_offsets"][0].is_number_unsigned() || !entry["data_offsets"][1].is_number_unsigned())
    return bad("data_offsets are not sizes");
  std::uint64_t begin = entry["data_offsets"][0], end = entry["data_offsets"][1];
  if (begin > end || end > data.size())
    return bad(fmt::format("its data ({} to {}) lies outside the file's {} bytes of data", begin, end, data.size()));
  if (end - begin != count * storageBits(tensor.type) / 8)
    return bad(fmt::format("its shape takes {} bytes, its data has {}", count * storageBits(tensor.type) / 8, end - begin));
  tensor.bytes.resize(end - begin);
  if (end > begin)
    std::memcpy(tensor.bytes.data(), data.data() + begin, end - begin);
  return tensor;
}

Result<NamedTensors> parseSafetensors(std::string_view bytes) {
  if (bytes.size() < 8)
    return malformed("it is shorter than its header's length field");
  std::uint64_t length = 0;
  std::memcpy(&length, bytes.data(), 8);
  if (length > bytes.size() - 8)
    return malformed("it ends within its header");
  nlohmann::json header = nlohmann::json::parse(bytes.substr(8, length), nullptr, /*allow_exceptions=*/false);
  if (header.is_discarded() || !header.is_object())
    return malformed("its header is not a JSON object");
  std::string_view data = bytes.substr(8 + length);
  NamedTensors tensors;
  for (const auto &[name, entry] : header.items()) {
    if (name == "__metadata__")
      continue;
    Result<HostTensor> tensor = parseEntry(name, entry, data);
    if (!tensor)
      return tensor.status();
    tensors.emplace(name, std::move(*tensor));
  }
  return tensors;
}

std::string formatSafetensors(const NamedTensors &tensors) {
  nlohmann::ordered_json header = nlohmann::ordered_json::object();
  std::string data;
  for (const auto &[name, tensor] : tensors) {
    HostTensor asBytes;
    const HostTensor *source = &tensor;
    if (tensor.type == ElementType::Bit) {
      asBytes = tensor.converted(ElementType::Bool);
      source = &asBytes;
    }
    std::string_view dtype;
    for (const SafetensorsType &row : kTypes)
      if (row.type == source->type)
        dtype = row.name;
    header[name] = {{"dtype", dtype},
                    {"shape", source->shape},
                    {"data_offsets", {data.size(), data.size() + source->bytes.size()}}};
    data.append(reinterpret_cast<const char *>(source->bytes.data()), source->bytes.size());
  }
  std::string text = header.dump();
  text.append((8 - text.size() % 8) % 8, ' ');
  std::uint64_t length = text.size();
  std::string out(reinterpret_cast<const char *>(&length), 8);
  return out + text + data;
}

} // namespace attn::tools
