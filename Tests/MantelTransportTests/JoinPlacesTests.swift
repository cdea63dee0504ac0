import Testing

@testable import MantelTransport

@Suite struct JoinPlacesTests {
  private let stranger = SourceKey(bytes: [1])
  private let other = SourceKey(bytes: [2])
  private let newcomer = SourceKey(bytes: [3])

  @Test func whoOnlyHoldsPlacesLosesThem() {
    var places = JoinPlaces<String>(capacity: 4, perAddress: 2)
    var evicted: [String?] = []
    func take(_ name: String, _ source: SourceKey) {
      evicted.append(places.take(name, source: source)?.evicted)
    }
    take("s1", stranger)
    take("s2", stranger)
    take("o1", other)
    take("o2", other)
    take("n", newcomer)
    #expect(evicted == [nil, nil, nil, nil, "s1"])
    // The flood goes on, and pushes out itself: first who has most, then its own oldest.
    take("s3", stranger)
    take("s4", stranger)
    #expect(evicted.suffix(2) == ["o1", "s2"])
    #expect(Set(places.connections) == ["n", "o2", "s3", "s4"])
  }

  @Test func whoHasProvedStays() throws {
    var places = JoinPlaces<Int>(capacity: 2, perAddress: 2)
    let first = places.take(1, source: stranger)
    let firstPlace = try #require(first?.place)
    #expect(places.prove(firstPlace) == stranger)
    let second = places.take(2, source: newcomer)
    let secondPlace = try #require(second?.place)
    let third = places.take(3, source: stranger)
    let thirdPlace = try #require(third?.place)
    #expect(third?.evicted == 2)
    // The place is gone: leaving it, or proving it, changes nothing.
    places.leave(secondPlace)
    #expect(places.prove(secondPlace) == nil)
    #expect(places.prove(thirdPlace) == stranger)
    #expect(places.take(4, source: newcomer) == nil)
    places.leave(firstPlace)
    let fourth = places.take(4, source: newcomer)
    #expect(fourth != nil && fourth?.evicted == nil)
    #expect(places.count == 2)
  }
}
