// Where and when: the map, the evidence, and the slider through the week.

import { Box, Group, NativeSelect, Slider, Stack, Switch, Text } from "@mantine/core";
import { cellToBoundary } from "h3-js";
import L from "leaflet";
import "leaflet/dist/leaflet.css";
import { useEffect, useMemo, useRef, useState } from "react";
import { load, type Simulator } from "./engine";
import type { Located, Point, Reply, Scene } from "./types";
import { GRADES, MAILBOXES, kindOf, percent, placeWords } from "./words";

const STEP_DEGREES = 0.002;
const N_STEPS = 7 * 48;

export function Place({ simulator, base, scene, reply, located, onChange }: { simulator: Simulator; base: string; scene: Scene; reply: Reply; located: Located; onChange: (change: Partial<Scene>) => void }) {
  const merchants = simulator.merchants(reply.place.cell);
  const shown = new Set(reply.slots.flatMap((slot) => (slot.merchant ? [slot.merchant] : [])));
  const kinds = useMemo(() => new Map((reply.drops ?? []).map(({ merchant, code }) => [merchant, kindOf(code)])), [reply]);
  const legend = [...new Map([...kinds.values()].map((kind) => [kind.label, kind])).values()];
  return (
    <Stack gap="sm">
      <Group grow align="end">
        <NativeSelect label="What reads the mail" data={MAILBOXES} value={scene.mailbox} onChange={(event) => onChange({ mailbox: event.currentTarget.value as Scene["mailbox"] })} />
        <NativeSelect label="What the open tells of the place" data={GRADES} value={scene.grade} onChange={(event) => onChange({ grade: event.currentTarget.value as Scene["grade"] })} />
      </Group>
      <Switch label="The open comes from a place on the map (drag the pin, or move it by the arrow keys)" checked={scene.point !== null} onChange={(event) => onChange(event.currentTarget.checked ? { point: located.point ?? middle(simulator), grade: scene.grade === "none" ? "exact" : scene.grade } : { point: null })} />
      <Chart simulator={simulator} base={base} scene={scene} located={located} onMove={(point) => onChange({ point })}>
        {merchants.map(({ merchant, name, latitude, longitude }) => ({
          latitude,
          longitude,
          name: name ?? merchant,
          colour: shown.has(merchant) ? "#364fc7" : (kinds.get(merchant)?.colour ?? "#2b8a3e"),
          size: shown.has(merchant) ? 8 : kinds.has(merchant) ? 3 : 4,
          words: shown.has(merchant) ? "in the message" : (kinds.get(merchant)?.label ?? "could be shown"),
        }))}
      </Chart>
      <Group gap="md">
        {[{ label: "In the message", colour: "#364fc7" }, { label: "Could be shown", colour: "#2b8a3e" }, ...legend].map(({ label, colour }) => (
          <Text size="xs" key={label}>
            <span className="swatch" style={{ background: colour }} aria-hidden />
            {label}
          </Text>
        ))}
      </Group>
      <Box>
        <Text size="sm" id="when">
          When: <strong>{reply.local}</strong>
        </Text>
        <Slider min={0} max={N_STEPS - 1} value={scene.step} onChange={(step) => onChange({ step })} label={null} thumbLabel="When it is opened" thumbProps={{ "aria-valuetext": reply.local } as object} marks={Array.from({ length: 7 }, (_, day) => ({ value: day * 48 }))} />
      </Box>
      <Text size="sm">{placeWords(reply)}</Text>
      {located.places.length > 0 && (
        <Text size="sm">
          Usual places: {located.places.map(({ usual, now }, i) => `${i + 1}. ${percent(usual)} at this hour, ${percent(now)} now`).join("; ")}; somewhere else: {percent(located.elsewhere)}.
        </Text>
      )}
      {!located.tailored && scene.reader !== null && <Text size="sm">This reader did not consent where the law asks: nothing of their profile is looked at.</Text>}
    </Stack>
  );
}

function middle(simulator: Simulator): Point {
  const all = [...simulator.cells].flatMap((cell) => cellToBoundary(cell));
  return { latitude: all.reduce((sum, [y]) => sum + y, 0) / all.length, longitude: all.reduce((sum, [, x]) => sum + x, 0) / all.length };
}

type Dot = Point & { name: string; colour: string; size: number; words: string };

function Chart({ simulator, base, scene, located, onMove, children }: { simulator: Simulator; base: string; scene: Scene; located: Located; onMove: (point: Point) => void; children: Dot[] }) {
  const host = useRef<HTMLDivElement>(null);
  const [map, setMap] = useState<{ map: L.Map; dots: L.LayerGroup; places: L.LayerGroup; pin: L.Marker } | null>(null);
  const move = useRef(onMove);
  move.current = onMove;

  useEffect(() => {
    if (!host.current) return;
    const made = L.map(host.current, { preferCanvas: true, attributionControl: true, zoomSnap: 0.5 });
    made.attributionControl.setPrefix(false).addAttribution("Merchants © OpenStreetMap contributors (ODbL) · Coast: Natural Earth, to a kilometre");
    const areas = L.polygon([...simulator.cells].map((cell) => cellToBoundary(cell)), { color: "#748ffc", weight: 1, fillOpacity: 0.05, interactive: false });
    areas.addTo(made);
    const everybody = simulator.everybody();
    made.fitBounds(everybody.length > 0 ? L.latLngBounds(everybody.map(({ latitude, longitude }) => [latitude, longitude])) : areas.getBounds(), { padding: [30, 30] });
    void load<GeoJSON.MultiPolygon>(base, "coast.json").then(
      (coast) => L.geoJSON(coast, { style: { color: "#adb5bd", weight: 1, fillColor: "#f8f9fa", fillOpacity: 1 }, interactive: false }).addTo(made).bringToBack(),
      () => undefined,
    );
    const icon = L.divIcon({ className: "pin", html: "<span></span>", iconSize: [28, 28], iconAnchor: [14, 28] });
    const pin = L.marker([0, 0], { icon, draggable: true, keyboard: true, alt: "Where the open comes from: drag it, or use the arrow keys", title: "Where the open comes from" });
    pin.on("drag", () => move.current({ latitude: pin.getLatLng().lat, longitude: pin.getLatLng().lng }));
    pin.on("add", () => {
      pin.getElement()?.addEventListener("keydown", (event) => {
        const by = { ArrowUp: [1, 0], ArrowDown: [-1, 0], ArrowLeft: [0, -2], ArrowRight: [0, 2] }[event.key];
        if (!by) return;
        event.preventDefault();
        event.stopPropagation();
        const { lat, lng } = pin.getLatLng();
        move.current({ latitude: lat + (by[0] ?? 0) * STEP_DEGREES, longitude: lng + (by[1] ?? 0) * STEP_DEGREES });
      });
    });
    const places = L.layerGroup().addTo(made);
    const dots = L.layerGroup().addTo(made);
    setMap({ map: made, dots, places, pin });
    return () => {
      made.remove();
      setMap(null);
    };
  }, [simulator, base]);

  useEffect(() => {
    if (!map) return;
    map.dots.clearLayers();
    for (const { latitude, longitude, name, colour, size, words } of children) {
      L.circleMarker([latitude, longitude], { radius: size, color: "#fff", weight: 1, fillColor: colour, fillOpacity: 0.9 }).bindTooltip(`${escape(name)}: ${words}`).addTo(map.dots);
    }
  }, [map, children]);

  useEffect(() => {
    if (!map) return;
    map.places.clearLayers();
    for (const { latitude, longitude, now } of located.places) {
      L.circle([latitude, longitude], { radius: 150 + 600 * now, color: "#e8590c", weight: 2, fillOpacity: 0.15, interactive: false }).addTo(map.places).bringToBack();
    }
    if (located.point) {
      const { latitude, longitude } = located.point;
      // The less sure, the wider: a circle as wide as a city where the place is as good as unknown.
      L.circle([latitude, longitude], { radius: 300 + 4000 * (1 - located.certainty), color: "#364fc7", weight: 2, dashArray: "6 4", fillOpacity: 0.08, interactive: false }).addTo(map.places).bringToBack();
    }
    if (scene.point) map.pin.setLatLng([scene.point.latitude, scene.point.longitude]).addTo(map.map);
    else map.pin.remove();
  }, [map, located, scene.point]);

  return <div ref={host} className="map" role="application" aria-label="Map of the areas, the merchants and where the reader is thought to be" />;
}

const escape = (text: string): string => text.replace(/[&<>"]/g, (c) => `&#${c.charCodeAt(0)};`);
