#include "storage/row_feed.h"

#include <string>

#include "absl/strings/str_cat.h"

// An SQLite virtual table without arguments, constraints or writing: see "The Virtual Table
// Mechanism Of SQLite" for what each function must do.
namespace kartograph::storage {
namespace {

struct Registration {
  std::string declaration;
  const RowFeed* feed;
};

struct FeedTable : sqlite3_vtab {
  const RowFeed* feed;
};

struct FeedCursor : sqlite3_vtab_cursor {
  const RowFeed* feed;
  size_t row;
  size_t size;
};

int Connect(sqlite3* db, void* aux, int, const char* const*, sqlite3_vtab** table, char**) {
  const auto* registration = static_cast<const Registration*>(aux);
  const int code = sqlite3_declare_vtab(db, registration->declaration.c_str());
  if (code != SQLITE_OK) return code;
  auto* made = new FeedTable{};
  made->feed = registration->feed;
  *table = made;
  return SQLITE_OK;
}

int Disconnect(sqlite3_vtab* table) {
  delete static_cast<FeedTable*>(table);
  return SQLITE_OK;
}

int BestIndex(sqlite3_vtab*, sqlite3_index_info* info) {
  info->estimatedCost = 1e6;
  return SQLITE_OK;
}

int OpenCursor(sqlite3_vtab* table, sqlite3_vtab_cursor** cursor) {
  auto* made = new FeedCursor{};
  made->feed = static_cast<FeedTable*>(table)->feed;
  *cursor = made;
  return SQLITE_OK;
}

int CloseCursor(sqlite3_vtab_cursor* cursor) {
  delete static_cast<FeedCursor*>(cursor);
  return SQLITE_OK;
}

int Filter(sqlite3_vtab_cursor* cursor, int, const char*, int, sqlite3_value**) {
  auto* feed_cursor = static_cast<FeedCursor*>(cursor);
  feed_cursor->row = 0;
  feed_cursor->size = feed_cursor->feed->size();
  return SQLITE_OK;
}

int Next(sqlite3_vtab_cursor* cursor) {
  ++static_cast<FeedCursor*>(cursor)->row;
  return SQLITE_OK;
}

int Eof(sqlite3_vtab_cursor* cursor) {
  const auto* feed_cursor = static_cast<FeedCursor*>(cursor);
  return feed_cursor->row >= feed_cursor->size ? 1 : 0;
}

int Column(sqlite3_vtab_cursor* cursor, sqlite3_context* context, int column) {
  const auto* feed_cursor = static_cast<FeedCursor*>(cursor);
  feed_cursor->feed->Column(feed_cursor->row, column, FeedValue(context));
  return SQLITE_OK;
}

int RowId(sqlite3_vtab_cursor* cursor, sqlite3_int64* id) {
  *id = static_cast<sqlite3_int64>(static_cast<FeedCursor*>(cursor)->row);
  return SQLITE_OK;
}

const sqlite3_module kModule = [] {
  sqlite3_module module{};
  module.xConnect = Connect;  // and no xCreate: the table exists by its name alone
  module.xBestIndex = BestIndex;
  module.xDisconnect = Disconnect;
  module.xOpen = OpenCursor;
  module.xClose = CloseCursor;
  module.xFilter = Filter;
  module.xNext = Next;
  module.xEof = Eof;
  module.xColumn = Column;
  module.xRowid = RowId;
  return module;
}();

}  // namespace

absl::Status RegisterRowFeed(Connection& connection, const char* name, const char* columns,
                             const RowFeed* feed) {
  auto* registration = new Registration{absl::StrCat("CREATE TABLE feed(", columns, ")"), feed};
  const int code =
      sqlite3_create_module_v2(connection.handle(), name, &kModule, registration,
                               [](void* aux) { delete static_cast<Registration*>(aux); });
  return SqliteStatus(connection.handle(), code, connection.path());
}

}  // namespace kartograph::storage
