// A mean in which newer samples weigh more.
#ifndef KARTOGRAPH_SCHEDULER_SMOOTHED_H_
#define KARTOGRAPH_SCHEDULER_SMOOTHED_H_

namespace kartograph::scheduler {

// The next mean; a mean of 0 means that there was no sample yet.
inline double Smoothed(double mean, double sample) {
  return mean == 0 ? sample : mean * 0.875 + sample * 0.125;
}

}  // namespace kartograph::scheduler

#endif  // KARTOGRAPH_SCHEDULER_SMOOTHED_H_
