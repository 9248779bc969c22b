// A file descriptor with an owner.
#ifndef KARTOGRAPH_BASE_DESCRIPTOR_H_
#define KARTOGRAPH_BASE_DESCRIPTOR_H_

namespace kartograph {

// Owns a descriptor, closes it. Movable. Thread-compatible.
class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(other.Release()) {}
  Descriptor& operator=(Descriptor&& other) noexcept;
  ~Descriptor() { Reset(); }

  // -1 where there is none.
  int get() const { return fd_; }
  bool ok() const { return fd_ >= 0; }
  // Gives the ownership away.
  int Release();
  // Closes what it owns and takes `fd`.
  void Reset(int fd = -1);

 private:
  int fd_ = -1;
};

}  // namespace kartograph

#endif  // KARTOGRAPH_BASE_DESCRIPTOR_H_
