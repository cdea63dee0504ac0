import MantelCore

/// Tells the time for which the process was held up and could hear nobody (Ctrl-Z, a frozen container, a debugger), which
/// the clocks of a machine that is awake do not tell: counted as sleep, so that what ages by agent time does not age by it.
struct RunningClock: Sendable {
  /// A reading comes every half minute at the least, see `Agent.refreshRegularly`; longer than this without one, nobody ran.
  static let longestGap: Duration = .seconds(300)

  private var last: Now?
  private var frozen: Duration = .zero

  /// What the clocks say, with what is no running time added to `slept`. Readings come in order.
  mutating func reading(_ now: Now) -> Now {
    if let last {
      let awake = (now.instant - last.instant) - (now.slept - last.slept)
      if awake > Self.longestGap { frozen += awake }
    }
    last = now
    var reading = now
    reading.slept += frozen
    return reading
  }
}
