// A file system for SQLite that fails when a test says so, and that can lose what was not synced.
#ifndef KARTOGRAPH_STORAGE_TESTING_FAULT_FILE_SYSTEM_H_
#define KARTOGRAPH_STORAGE_TESTING_FAULT_FILE_SYSTEM_H_

#include <sqlite3.h>

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "base/mutex.h"

namespace kartograph::storage {

// Registers itself with SQLite under name() and passes everything on to the default file system,
// except for the faults asked for. Thread-safe. Outlives the connections that use it.
class FaultFileSystem {
 public:
  FaultFileSystem();
  ~FaultFileSystem();
  FaultFileSystem(const FaultFileSystem&) = delete;
  FaultFileSystem& operator=(const FaultFileSystem&) = delete;

  const char* name() const { return name_.c_str(); }

  // From now on writes fail with this SQLite code, and errno is `error`.
  void FailWrites(int code, int error);
  // From now on syncs fail with an I/O error.
  void FailSyncs();
  // Lets this many more writes, truncations and syncs through; then all fail with an I/O error.
  void FailAfter(int64_t operations);
  // Nothing fails any more.
  void Heal();
  // Files are opened for reading only.
  void MakeReadOnly();
  // Writes, truncations and syncs so far.
  int64_t operations() const;

  // Makes in `folder`, which exists, the files as a disk would have them after a power cut now:
  // all that was synced, and of each later write every sector with an even chance. A file that was
  // made or removed since its folder was last synced is there with an even chance.
  void CutPower(const std::string& folder, std::mt19937& random) const;

 private:
  struct Change {
    bool is_truncation;
    int64_t offset;  // the new size of a truncation
    std::string data;
  };
  struct File {
    std::string synced;
    std::vector<Change> pending;
    bool there = false;   // for all but a power cut
    bool listed = false;  // the folder on the disk lists it
    // The file of this name that the folder on the disk lists, where that is an older one.
    std::optional<std::string> older;
  };
  struct Handle;

  static int Open(sqlite3_vfs* vfs, const char* path, sqlite3_file* file, int flags,
                  int* out_flags);
  static int Delete(sqlite3_vfs* vfs, const char* path, int sync_folder);
  static const sqlite3_io_methods* Methods();
  static int Write(sqlite3_file* file, const void* data, int size, sqlite3_int64 offset);
  static int Truncate(sqlite3_file* file, sqlite3_int64 size);
  static int Sync(sqlite3_file* file, int flags);
  void SyncFolder() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  static void Apply(const Change& change, std::string& content);

  // SQLITE_OK, or what the next write, truncation or sync fails with; then errno is set.
  int NextFault(bool is_sync) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const std::string name_;
  sqlite3_vfs* const real_;
  sqlite3_vfs vfs_;

  mutable Mutex mutex_;
  std::map<std::string, File> files_ ABSL_GUARDED_BY(mutex_);
  int write_fault_ ABSL_GUARDED_BY(mutex_) = SQLITE_OK;
  int error_ ABSL_GUARDED_BY(mutex_) = 0;
  bool syncs_fail_ ABSL_GUARDED_BY(mutex_) = false;
  bool read_only_ ABSL_GUARDED_BY(mutex_) = false;
  int64_t operations_ ABSL_GUARDED_BY(mutex_) = 0;
  int64_t fail_from_ ABSL_GUARDED_BY(mutex_) = INT64_MAX;
};

}  // namespace kartograph::storage

#endif  // KARTOGRAPH_STORAGE_TESTING_FAULT_FILE_SYSTEM_H_
