//! How far apart two places on Earth are.

/// The Earth's mean radius in kilometres (IUGG).
const RADIUS_KM: f64 = 6371.0088;

/// The great-circle distance of two places given in degrees of latitude and longitude, in whole
/// kilometres: what is nearer than that is no nearer on a network, and hosts may differ in the last bits.
#[expect(clippy::cast_sign_loss, reason = "a distance is not negative")]
pub(super) fn distance_km(a: [f64; 2], b: [f64; 2]) -> u32 {
    let [a_lat, a_lon] = a.map(f64::to_radians);
    let [b_lat, b_lon] = b.map(f64::to_radians);
    let (lat, lon) = (((b_lat - a_lat) / 2.0).sin(), ((b_lon - a_lon) / 2.0).sin());
    let half_chord = lat * lat + a_lat.cos() * b_lat.cos() * lon * lon;
    let km = 2.0 * RADIUS_KM * half_chord.clamp(0.0, 1.0).sqrt().asin();
    km.round().max(0.0) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_are_those_of_maps() {
        let check = |a, b, want: u32| {
            assert!(distance_km(a, b).abs_diff(want) <= want / 200, "{}, not {want}", distance_km(a, b));
            assert_eq!(distance_km(a, b), distance_km(b, a));
        };
        let (frankfurt, ashburn, sydney) = ([50.11, 8.68], [38.94, -77.46], [-33.87, 151.21]);
        check(frankfurt, ashburn, 6540);
        check(frankfurt, sydney, 16_480);
        check([0.0, 0.0], [0.0, 180.0], 20_015);
        check([90.0, 17.0], [-90.0, 99.0], 20_015);
        // Across the date line it is a short way.
        check([0.0, 179.5], [0.0, -179.5], 111);
        check(frankfurt, frankfurt, 0);
    }
}
