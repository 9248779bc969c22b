#include "storage/testing/fault_file_system.h"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"

namespace kartograph::storage {
namespace {

constexpr int kSector = 512;

std::string UniqueName() {
  static std::atomic<int> next{0};
  return absl::StrCat("kartograph-faults-", next.fetch_add(1));
}

std::string ReadWhole(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return std::string(std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>());
}

}  // namespace

// What SQLite allocates for an open file: ours, followed by the real file system's.
struct FaultFileSystem::Handle {
  sqlite3_file base;
  FaultFileSystem* system;
  File* file;         // null: not followed, such as a temporary file
  bool syncs_folder;  // with its next sync, as SQLite does it for a journal or WAL it may have made

  sqlite3_file* real() { return reinterpret_cast<sqlite3_file*>(this + 1); }
  static Handle* Of(sqlite3_file* file) { return reinterpret_cast<Handle*>(file); }
};

FaultFileSystem::FaultFileSystem()
    : name_(UniqueName()), real_(sqlite3_vfs_find(nullptr)), vfs_(*real_) {
  vfs_.szOsFile = static_cast<int>(sizeof(Handle)) + real_->szOsFile;
  vfs_.pNext = nullptr;
  vfs_.zName = name_.c_str();
  vfs_.pAppData = this;
  vfs_.xOpen = Open;
  vfs_.xDelete = Delete;
  sqlite3_vfs_register(&vfs_, 0);
}

FaultFileSystem::~FaultFileSystem() { sqlite3_vfs_unregister(&vfs_); }

void FaultFileSystem::FailWrites(int code, int error) {
  MutexLock lock(&mutex_);
  write_fault_ = code;
  error_ = error;
}

void FaultFileSystem::FailSyncs() {
  MutexLock lock(&mutex_);
  syncs_fail_ = true;
  error_ = EIO;
}

void FaultFileSystem::FailAfter(int64_t operations) {
  MutexLock lock(&mutex_);
  fail_from_ = operations_ + operations;
  error_ = EIO;
}

void FaultFileSystem::Heal() {
  MutexLock lock(&mutex_);
  write_fault_ = SQLITE_OK;
  error_ = 0;
  syncs_fail_ = false;
  fail_from_ = INT64_MAX;
}

void FaultFileSystem::MakeReadOnly() {
  MutexLock lock(&mutex_);
  read_only_ = true;
}

int64_t FaultFileSystem::operations() const {
  MutexLock lock(&mutex_);
  return operations_;
}

void FaultFileSystem::CutPower(const std::string& folder, std::mt19937& random) const {
  MutexLock lock(&mutex_);
  for (const auto& [path, file] : files_) {
    const std::string copy =
        absl::StrCat(folder, "/", std::filesystem::path(path).filename().string());
    const bool newest = file.there && (file.listed || random() % 2 == 0);
    const bool older = !newest && file.older && (file.there || random() % 2 == 0);
    if (!newest && !older) continue;
    std::string content = newest ? file.synced : *file.older;
    for (const Change& change : newest ? file.pending : std::vector<Change>()) {
      if (change.is_truncation) {
        if (random() % 2 == 0) Apply(change, content);
        continue;
      }
      for (size_t at = 0; at < change.data.size();) {
        const int64_t offset = change.offset + static_cast<int64_t>(at);
        const size_t size =
            std::min(change.data.size() - at, static_cast<size_t>(kSector - offset % kSector));
        if (random() % 2 == 0) Apply({false, offset, change.data.substr(at, size)}, content);
        at += size;
      }
    }
    std::ofstream out(copy, std::ios::binary);
    out.write(content.data(), static_cast<std::streamsize>(content.size()));
  }
}

int FaultFileSystem::Open(sqlite3_vfs* vfs, const char* path, sqlite3_file* file, int flags,
                          int* out_flags) {
  auto* system = static_cast<FaultFileSystem*>(vfs->pAppData);
  Handle* handle = Handle::Of(file);
  handle->base.pMethods = nullptr;
  handle->system = system;
  handle->file = nullptr;
  handle->syncs_folder = false;
  MutexLock lock(&system->mutex_);
  if (system->read_only_ && (flags & SQLITE_OPEN_READWRITE) != 0) {
    flags &= ~(SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE);
    flags |= SQLITE_OPEN_READONLY;
  }
  const bool existed = path != nullptr && std::filesystem::exists(path);
  const int code = system->real_->xOpen(system->real_, path, handle->real(), flags, out_flags);
  if (code != SQLITE_OK) return code;
  if (path != nullptr) {
    auto [it, is_new] = system->files_.try_emplace(path);
    File& opened = it->second;
    if (is_new && existed) {
      opened.synced = ReadWhole(path);
      opened.listed = true;
    }
    opened.there = true;
    handle->file = &opened;
    constexpr int kJournals =
        SQLITE_OPEN_MAIN_JOURNAL | SQLITE_OPEN_SUPER_JOURNAL | SQLITE_OPEN_WAL;
    handle->syncs_folder = (flags & SQLITE_OPEN_CREATE) != 0 && (flags & kJournals) != 0;
  }
  handle->base.pMethods = Methods();
  return SQLITE_OK;
}

int FaultFileSystem::Delete(sqlite3_vfs* vfs, const char* path, int sync_folder) {
  auto* system = static_cast<FaultFileSystem*>(vfs->pAppData);
  MutexLock lock(&system->mutex_);
  if (const int fault = system->NextFault(false); fault != SQLITE_OK) return fault;
  // The file may still be open, so that its handle must stay good.
  if (auto it = system->files_.find(path); it != system->files_.end()) {
    File& file = it->second;
    std::optional<std::string> older = std::move(file.older);
    if (file.listed) older = std::move(file.synced);
    file = File();
    file.older = std::move(older);
  }
  if (sync_folder != 0) system->SyncFolder();
  return system->real_->xDelete(system->real_, path, sync_folder);
}

const sqlite3_io_methods* FaultFileSystem::Methods() {
  static const sqlite3_io_methods methods = [] {
    sqlite3_io_methods m{};
    m.iVersion = 2;  // with shared memory, without memory-mapped reading
    m.xClose = [](sqlite3_file* f) {
      sqlite3_file* real = Handle::Of(f)->real();
      return real->pMethods->xClose(real);
    };
    m.xRead = [](sqlite3_file* f, void* data, int size, sqlite3_int64 offset) {
      sqlite3_file* real = Handle::Of(f)->real();
      return real->pMethods->xRead(real, data, size, offset);
    };
    m.xWrite = Write;
    m.xTruncate = Truncate;
    m.xSync = Sync;
    m.xFileSize = [](sqlite3_file* f, sqlite3_int64* size) {
      sqlite3_file* real = Handle::Of(f)->real();
      return real->pMethods->xFileSize(real, size);
    };
    m.xLock = [](sqlite3_file* f, int level) {
      sqlite3_file* real = Handle::Of(f)->real();
      return real->pMethods->xLock(real, level);
    };
    m.xUnlock = [](sqlite3_file* f, int level) {
      sqlite3_file* real = Handle::Of(f)->real();
      return real->pMethods->xUnlock(real, level);
    };
    m.xCheckReservedLock = [](sqlite3_file* f, int* reserved) {
      sqlite3_file* real = Handle::Of(f)->real();
      return real->pMethods->xCheckReservedLock(real, reserved);
    };
    m.xFileControl = [](sqlite3_file* f, int operation, void* argument) {
      sqlite3_file* real = Handle::Of(f)->real();
      return real->pMethods->xFileControl(real, operation, argument);
    };
    m.xSectorSize = [](sqlite3_file*) { return kSector; };
    m.xDeviceCharacteristics = [](sqlite3_file* f) {
      sqlite3_file* real = Handle::Of(f)->real();
      return real->pMethods->xDeviceCharacteristics(real);
    };
    m.xShmMap = [](sqlite3_file* f, int region, int size, int extend, void volatile** memory) {
      sqlite3_file* real = Handle::Of(f)->real();
      return real->pMethods->xShmMap(real, region, size, extend, memory);
    };
    m.xShmLock = [](sqlite3_file* f, int offset, int n, int flags) {
      sqlite3_file* real = Handle::Of(f)->real();
      return real->pMethods->xShmLock(real, offset, n, flags);
    };
    m.xShmBarrier = [](sqlite3_file* f) {
      sqlite3_file* real = Handle::Of(f)->real();
      real->pMethods->xShmBarrier(real);
    };
    m.xShmUnmap = [](sqlite3_file* f, int remove) {
      sqlite3_file* real = Handle::Of(f)->real();
      return real->pMethods->xShmUnmap(real, remove);
    };
    return m;
  }();
  return &methods;
}

int FaultFileSystem::Write(sqlite3_file* file, const void* data, int size, sqlite3_int64 offset) {
  Handle* handle = Handle::Of(file);
  MutexLock lock(&handle->system->mutex_);
  if (const int fault = handle->system->NextFault(false); fault != SQLITE_OK) return fault;
  if (handle->file != nullptr) {
    handle->file->pending.push_back(
        {false, offset, std::string(static_cast<const char*>(data), static_cast<size_t>(size))});
  }
  sqlite3_file* real = handle->real();
  return real->pMethods->xWrite(real, data, size, offset);
}

int FaultFileSystem::Truncate(sqlite3_file* file, sqlite3_int64 size) {
  Handle* handle = Handle::Of(file);
  MutexLock lock(&handle->system->mutex_);
  if (const int fault = handle->system->NextFault(false); fault != SQLITE_OK) return fault;
  if (handle->file != nullptr) handle->file->pending.push_back({true, size, ""});
  sqlite3_file* real = handle->real();
  return real->pMethods->xTruncate(real, size);
}

// Does not sync the real file: its content is the same for all but a real power cut.
int FaultFileSystem::Sync(sqlite3_file* file, int) {
  Handle* handle = Handle::Of(file);
  MutexLock lock(&handle->system->mutex_);
  if (const int fault = handle->system->NextFault(true); fault != SQLITE_OK) return fault;
  if (handle->file != nullptr) {
    for (const Change& change : handle->file->pending) Apply(change, handle->file->synced);
    handle->file->pending.clear();
  }
  if (std::exchange(handle->syncs_folder, false)) handle->system->SyncFolder();
  return SQLITE_OK;
}

// All files are in one folder.
void FaultFileSystem::SyncFolder() {
  for (auto& [path, file] : files_) {
    file.listed = file.there;
    file.older.reset();
  }
}

void FaultFileSystem::Apply(const Change& change, std::string& content) {
  const size_t offset = static_cast<size_t>(change.offset);
  if (change.is_truncation) {
    content.resize(offset);
    return;
  }
  if (content.size() < offset + change.data.size()) content.resize(offset + change.data.size());
  content.replace(offset, change.data.size(), change.data);
}

int FaultFileSystem::NextFault(bool is_sync) {
  int fault = SQLITE_OK;
  if (operations_++ >= fail_from_) {
    fault = is_sync ? SQLITE_IOERR_FSYNC : SQLITE_IOERR_WRITE;
  } else if (is_sync) {
    fault = syncs_fail_ ? SQLITE_IOERR_FSYNC : SQLITE_OK;
  } else {
    fault = write_fault_;
  }
  if (fault != SQLITE_OK) errno = error_;
  return fault;
}

}  // namespace kartograph::storage
