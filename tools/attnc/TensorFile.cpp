#include "tools/attnc/TensorFile.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <unistd.h>

namespace attn::tools {

Result<std::string> readFile(const std::string &path) {
  if (path.empty())
    return Status(StatusCode::InvalidArgument, "the name of a file to read is empty");
  std::error_code error;
  if (std::filesystem::is_directory(path, error))
    return Status(StatusCode::InvalidArgument, fmt::format("{}: is a directory", path));
  std::ifstream file(path, std::ios::binary);
  if (!file)
    return Status(StatusCode::NotFound, fmt::format("{}: {}", path, std::strerror(errno)));
  std::ostringstream text;
  text << file.rdbuf();
  if (file.bad())
    return Status(StatusCode::IoError, fmt::format("{}: cannot be read", path));
  return std::move(text).str();
}

Status checkWritable(const std::string &path) {
  auto refused = [&](std::string_view why) {
    return Status(StatusCode::IoError, fmt::format("{}: cannot be written: {}", path, why));
  };
  if (path == "-" || path == "/dev/stdout")
    return Status();
  if (path.empty())
    return Status(StatusCode::IoError, "the name of a file to write is empty");
  std::error_code error;
  if (std::filesystem::is_directory(path, error))
    return refused("it is a directory");
  bool isSpecial = std::filesystem::exists(path, error) && !std::filesystem::is_regular_file(path, error);
  std::string parent = std::filesystem::path(path).parent_path().string();
  const std::string &touched = isSpecial ? path : parent.empty() ? "." : parent;
  return ::access(touched.c_str(), W_OK) == 0 ? Status() : refused(std::strerror(errno));
}

/// Writes beside `path` and renames, keeping the permissions of a file that was there.
static Status replaceFile(const std::string &path, std::string_view bytes) {
  std::error_code error;
  std::string temporary = fmt::format("{}.tmp{}", path, static_cast<long>(::getpid()));
  std::ofstream file(temporary, std::ios::binary);
  file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  file.close();
  Status status;
  if (!file) {
    status = Status(StatusCode::IoError, fmt::format("{}: cannot be written: {}", path, std::strerror(errno)));
  } else {
    std::filesystem::file_status old = std::filesystem::status(path, error);
    if (std::filesystem::is_regular_file(old))
      std::filesystem::permissions(temporary, old.permissions(), error);
    std::filesystem::rename(temporary, path, error);
    if (error)
      status = Status(StatusCode::IoError, fmt::format("{}: cannot be written: {}", path, error.message()));
  }
  if (!status)
    std::filesystem::remove(temporary, error);
  return status;
}

Status writeFile(const std::string &path, std::string_view bytes) {
  if (path == "-" || path == "/dev/stdout") {
    if (std::fwrite(bytes.data(), 1, bytes.size(), stdout) != bytes.size() || std::fflush(stdout) != 0)
      return Status(StatusCode::IoError, fmt::format("standard output: cannot be written: {}", std::strerror(errno)));
    return Status();
  }
  if (Status status = checkWritable(path); !status)
    return status;
  std::error_code error;
  if (std::filesystem::exists(path, error) && !std::filesystem::is_regular_file(path, error) &&
      !std::filesystem::is_directory(path, error)) {                          // a device or a pipe: no rename there
    std::ofstream file(path, std::ios::binary);
    file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    return file ? Status() : Status(StatusCode::IoError, fmt::format("{}: cannot be written", path));
  }
  std::filesystem::path target = path;
  if (std::filesystem::is_symlink(target, error)) // the file it leads to is replaced, not the link
    target = std::filesystem::canonical(target, error);
  return replaceFile(error ? path : target.string(), bytes);
}

static bool endsWith(std::string_view text, std::string_view end) {
  return text.size() >= end.size() && text.substr(text.size() - end.size()) == end;
}

static Status inFile(const std::string &path, const Status &status) {
  return Status(status.code(), fmt::format("{}: {}", path, status.message()));
}

Result<NamedTensors> readTensors(const std::string &path) {
  Result<std::string> bytes = readFile(path);
  if (!bytes)
    return bytes.status();
  Result<NamedTensors> tensors = parseSafetensors(*bytes);
  if (!tensors)
    return inFile(path, tensors.status());
  return tensors;
}

Result<HostTensor> readTensor(const std::string &pathAndName, const std::string &wantedName) {
  std::string path = pathAndName, name = wantedName;
  std::size_t at = pathAndName.find(".safetensors:");
  if (at != std::string::npos) {
    path = pathAndName.substr(0, at + 12);
    name = pathAndName.substr(at + 13);
  }
  if (endsWith(path, ".safetensors")) {
    Result<NamedTensors> tensors = readTensors(path);
    if (!tensors)
      return tensors.status();
    auto found = tensors->find(name);
    if (found == tensors->end()) {
      std::string names;
      for (const auto &[key, tensor] : *tensors)
        names += (names.empty() ? "" : ", ") + key;
      return Status(StatusCode::NotFound, fmt::format("{}: has no tensor `{}` (it has: {})", path, name, names));
    }
    return std::move(found->second);
  }
  if (!endsWith(path, ".npy"))
    return Status(StatusCode::InvalidArgument, fmt::format("{}: tensors are read from .npy and .safetensors files", path));
  Result<std::string> bytes = readFile(path);
  if (!bytes)
    return bytes.status();
  Result<HostTensor> tensor = parseNpy(*bytes);
  if (!tensor)
    return inFile(path, tensor.status());
  return tensor;
}

} // namespace attn::tools
