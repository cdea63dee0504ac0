import MantelCore

/// Every bound and every waiting time of discovery.
enum DiscoveryLimits {
  // MARK: What the network may make us keep

  /// Sightings (instance, interface, protocol) kept at once, of both service types together.
  static let sightings = 512
  /// Sightings of one instance name: a machine has few links.
  static let sightingsPerInstance = 32
  /// Resolvers open at once; avahi-daemon allows a client 1,024 objects.
  static let openResolvers = 32
  /// Addresses told of one instance.
  static let addresses = 16

  // MARK: TXT

  /// Strings read of a TXT record; the rest is ignored.
  static let txtStrings = 32
  /// Bytes read of a TXT record, all strings together; the rest is ignored.
  static let txtBytes = 1_300
  /// Bytes that we may publish: RFC 6763, 6.2 calls up to 400 safe.
  static let publishedTXTBytes = 400
  /// Bytes of a key (RFC 6763, 6.4).
  static let txtKeyBytes = 9
  /// Bytes of one `key=value`.
  static let txtStringBytes = 255
  /// Bytes of an instance name (one DNS label).
  static let instanceBytes = 63

  // MARK: Time

  /// Of whatever fails at the daemon, each for itself.
  static let backoff = Backoff(first: .seconds(1), longest: .seconds(60))
  /// A client that does not reach the running daemon within this time is made anew.
  static let connectPatience: Duration = .seconds(60)
  /// A group that is not established this long after its commit is committed again.
  static let registerPatience: Duration = .seconds(30)
  /// New names are tried at once this often, then with backoff: a hostile or looping network must not make us spin.
  static let quickRenames = 3
  /// A publication that stood this long clears the count of collisions.
  static let steadyPublication: Duration = .seconds(60)
  /// A resolver gives up by itself after 5 s; this is for one that never answers.
  static let resolverPatience: Duration = .seconds(15)
  /// A resolved service is resolved again, for TXT and addresses may change without a new sighting: first after
  /// `firstRefresh`, then after twice as long each time while nothing changes, at most `longestRefresh`.
  static let firstRefresh: Duration = .seconds(5)
  static let longestRefresh: Duration = .seconds(300)
  /// After a new browse, sightings that were not repeated are dropped this long after the daemon said that it has
  /// told all, or ...
  static let settle: Duration = .seconds(10)
  /// ... this long after the browse, or the loss of the daemon.
  static let staleSightings: Duration = .seconds(60)
  /// Address changes come in bursts; one new browse follows the last of them.
  static let networkSettle: Duration = .seconds(2)
  /// Between two new browses for the sake of sightings that there was no room for.
  static let overflowRetry: Duration = .seconds(600)
  /// Longest sleep of the thread, so that a resume from suspend is noticed.
  static let longestSleep: Duration = .seconds(30)
  /// Boot time running ahead of monotonic time by this much means that the machine was suspended.
  static let suspendNoticed: Duration = .seconds(5)
}
